#!/bin/sh
# licences.sh TO CARGO-TREE-ARGUMENT…: the licences of the crates that are linked into a program, as their authors ship them.
set -eu
to=$1
shift
mkdir -p "$to"
cargo tree --locked --edges normal --prefix none --no-dedupe --format '{p} {l}' "$@" | sort -u | grep -v ' (/' >"$to/CRATES"
while read -r name version _; do
    for source in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$name-${version#v}"; do
        for file in "$source"/LICENSE* "$source"/LICENCE* "$source"/COPYING* "$source"/NOTICE*; do
            [ -f "$file" ] || continue
            mkdir -p "$to/$name"
            cp "$file" "$to/$name/"
        done
    done
done <"$to/CRATES"
