#!/bin/sh
# collect.sh ROOT FILE…: copies into ROOT the shared libraries that the files need (and those that they need), and the licence of each
# Debian package that they come from. A file that is a library of the system is copied itself as well.
set -eu
root=$1
shift
libraries() {
    for file; do
        case $file in /lib* | /usr/lib*) echo "$file" ;; esac
        needed=$(ldd "$file")
        case $needed in *'not found'*) echo "collect.sh: $file lacks: $needed" >&2 && exit 1 ;; esac
        echo "$needed" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }'
    done
}
list=$(libraries "$@")
for library in $(echo "$list" | sort -u); do
    # What came with the engine is in its place already.
    case $library in /lib* | /usr/lib*) ;; *) continue ;; esac
    cp -L --parents "$library" "$root"
    package=$(dpkg-query -S "$library" 2>/dev/null || dpkg-query -S "/usr$library")
    package=${package%%:*}
    mkdir -p "$root/usr/share/doc/$package"
    cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
done
