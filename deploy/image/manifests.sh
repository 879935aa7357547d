#!/bin/sh
# manifests.sh FROM TO: what decides on the dependencies, and nothing else: every Cargo.toml without comments and without programs, tests,
# examples and benches, the lock, and empty programs in the sources' place. While this stays the same, a build takes its dependencies from the layer.
set -eu
from=$1 to=$2
cd "$from"
for manifest in Cargo.toml crates/*/Cargo.toml; do
    package=$(dirname "$manifest")
    mkdir -p "$to/$package/src"
    awk '/^\[/ { skip = /^\[\[(bin|test|example|bench)\]\]/ } !skip && !/^[[:space:]]*(#|$)/' "$manifest" >"$to/$manifest"
    : >"$to/$package/src/lib.rs"
    if [ -f "$package/src/main.rs" ]; then echo 'fn main() {}' >"$to/$package/src/main.rs"; fi
    if [ -f "$package/build.rs" ]; then echo 'fn main() {}' >"$to/$package/build.rs"; fi
done
cp Cargo.lock "$to/"
