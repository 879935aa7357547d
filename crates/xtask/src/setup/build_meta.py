"""Stands in for setuptools while pip downloads a source distribution.

Before it hands over an archive, pip asks the package's build backend for the metadata, which would run the package's own
build. This backend says what we asked for and runs nothing; what was downloaded is checked by its hash afterwards.
"""

import os
import sys


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    name, version = os.environ["SETUP_PACKAGE"], os.environ["SETUP_VERSION"]
    directory = f"{name}-{version}.dist-info"
    os.makedirs(os.path.join(metadata_directory, directory))
    with open(os.path.join(metadata_directory, directory, "METADATA"), "w", encoding="utf-8") as file:
        file.write(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return directory


__legacy__ = sys.modules[__name__]
