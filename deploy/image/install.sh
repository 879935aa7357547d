#!/bin/sh
# install.sh PACKAGE…: what the base image lacks of these. A base that has all of them needs no package server.
set -eu
missing=
for package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
apt-get update
# shellcheck disable=SC2086
apt-get install --yes --no-install-recommends $missing
rm -rf /var/lib/apt/lists/*
