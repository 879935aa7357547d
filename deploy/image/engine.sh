#!/bin/sh
# engine.sh TO: what of vendor/vizdoom playing needs (not what is there for Python), and the licences in the sources that it was made from.
set -eu
to=$1
share=$to/share/doom-agent/vizdoom
mkdir -p "$share/engine" "$share/vizdoom.libs" "$to/licences"
cp -r vendor/vizdoom/engine/vizdoom vendor/vizdoom/engine/vizdoom.pk3 vendor/vizdoom/engine/*.wad vendor/vizdoom/engine/bots.cfg \
    vendor/vizdoom/engine/scenarios "$share/engine/"
for library in $(ldd vendor/vizdoom/engine/vizdoom | awk '$3 ~ /vizdoom\.libs/ { print $3 }'); do
    cp "$library" "$share/vizdoom.libs/"
done
cd vendor/vizdoom/src/src/vizdoom
find . -type f -iregex '.*/\(licen[cs]e\|copying\)\(\.txt\)?' -exec cp --parents {} "$to/licences/" \;
