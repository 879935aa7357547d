#!/bin/sh
# sources.sh FROM TO PACKAGE…: what these packages of the workspace are made from: the workspace's own package, and of its crates those that
# the packages depend on, without their tests. A change to any other crate builds no image anew. Manifests are not among it: manifests.sh has them.
set -eu
from=$1 to=$2
shift 2
cd "$from"
# The names under [dependencies] and [build-dependencies] that are crates of the workspace.
needs() {
    awk '/^\[/ { on = /^\[(build-)?dependencies\]/ } on && /^[a-z]/ { sub(/[ .=].*/, ""); print }' "$1" | while read -r name; do
        if [ -d "crates/$name" ]; then echo "$name"; fi
    done
}
wanted=$(needs Cargo.toml)
for package; do wanted="$wanted $package"; done
done=
while [ -n "$wanted" ]; do
    next=
    for name in $wanted; do
        case " $done " in *" $name "*) continue ;; esac
        done="$done $name"
        next="$next $(needs "crates/$name/Cargo.toml")"
    done
    wanted=$(echo $next)
done
mkdir -p "$to/crates"
for name in $done; do
    cp -r "crates/$name" "$to/crates/"
    rm -rf "$to/crates/$name/tests" "$to/crates/$name/benches" "$to/crates/$name/Cargo.toml"
done
cp -r LICENSE build.rs src configs "$to/"
