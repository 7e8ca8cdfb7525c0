#!/usr/bin/env bash
# A small Debian with some packages and its security updates, as an archive.
# make-root.sh SUITE MIRROR SOURCES-LIST PACKAGE,... ARCHIVE
set -euo pipefail
suite=$1 mirror=$2 sources=$3 packages=$4 archive=$5
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror"
cp "$sources" "$root/etc/apt/sources.list"
chroot "$root" apt-get update -qq
DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get upgrade -y -qq

# Of the documentation only the licences stay. The machine's mirror is nobody else's business.
find "$root/usr/share/doc" -type f ! -name copyright -delete
rm -rf "$root"/usr/share/{bug,doc-base,info,lintian,locale,man}/* "$root"/var/{cache,log}/* "$root"/var/lib/apt/lists/*
rm -f "$root/etc/apt/sources.list" "$root/etc/resolv.conf" "$root/etc/hostname"
find "$root" -name '*.pyc' -delete # the images compile the library in their own way

# In a fixed order, nothing newer than the packages themselves.
tar --sort=name --mtime=@0 --clamp-mtime --numeric-owner --directory "$root" --create --file "$archive" .
