#!/bin/sh
# root.sh ROOT: what a file system needs besides programs: a user, names, certificates to trust, a place for state.
set -eu
root=$1
mkdir -p "$root/etc/ssl/certs" "$root/tmp" "$root/state/doom-agent"
chmod 1777 "$root/tmp"
chmod 700 "$root/state/doom-agent"
echo 'doom:x:10001:10001:doom-agent:/var/lib/doom-agent:/nonexistent' >"$root/etc/passwd"
echo 'doom:x:10001:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
