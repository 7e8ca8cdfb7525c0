#!/usr/bin/env bash
# A C++ compiler and Python's headers, from Debian.
set -euo pipefail
# A base made by debootstrap names no package sources: the build hands over the machine's.
sources=/etc/apt/sources.list.d/build.list
[ ! -s /run/secrets/apt.list ] || cp /run/secrets/apt.list "$sources"
headers=$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')
packages=(g++)
[ -e "$headers/Python.h" ] || packages+=(libpython3-dev)

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
# Of libpython3-dev only the headers are used; neither link-time optimisation nor sanitizers. Licences stay.
rm -rf /usr/lib/*-linux-gnu/libpython3*.a /usr/lib/python3*/config-3*
rm -f /usr/lib/gcc/*/*/lto1 /usr/bin/*lto-dump* /usr/lib/*-linux-gnu/lib{a,t,l,ub}san.so*
find /usr/share/doc -type f ! -name copyright -delete
rm -rf /usr/share/{info,locale,man}/*
apt-get clean
rm -rf "$sources" /var/lib/apt/lists/* /var/cache/* /var/log/*
