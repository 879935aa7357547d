"""Holds the manifests that it is given to the schemas of Kubernetes' API, strictly: a key that the API does not know is a mistake.

Says one line for each resource, `FILE KIND NAME`, and ends with 1 where something is wrong. Resources of other parties (KEDA's) have no
schema here; they must parse, and are said with `unchecked` before them.
"""

import sys

import kubernetes_validate
import yaml

VERSION = "1.32"
OTHERS = ("keda.sh/", "kustomize.config.k8s.io/")

wrong = False
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        resources = list(yaml.safe_load_all(file))
    for resource in resources:
        name = resource.get("metadata", {}).get("name", "-")
        what = f"{path} {resource['kind']} {name}"
        if resource["apiVersion"].startswith(OTHERS):
            print("unchecked", what)
            continue
        try:
            kubernetes_validate.validate(resource, VERSION, strict=True)
            print(what)
        except kubernetes_validate.ValidationError as error:
            wrong = True
            # The error's own text has the whole schema in it.
            print(f"{what}: {'.'.join(map(str, error.path))}: {error.message}", file=sys.stderr)
        except kubernetes_validate.SchemaNotFoundError as error:
            wrong = True
            print(f"{what}: no schema: {error}", file=sys.stderr)
sys.exit(wrong)
