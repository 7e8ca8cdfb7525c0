#!/usr/bin/env bash
# Make our packages what an installation would leave: finish-packages.sh FOLDER PLACE-IN-IMAGE VERSION
set -euo pipefail
folder=$1 place=$2 version=$3
metadata=$folder/deepsynth_operator-$version.dist-info/METADATA

mkdir "${metadata%/*}"
printf 'Metadata-Version: 2.1\nName: deepsynth-operator\nVersion: %s\n' "$version" > "$metadata"
# The core of the renderer, where the image has it. Its C files stay next to it: they are its source.
core=$folder/deepsynth_render/page/compiled/build.py
[ ! -e "$core" ] || python3 "$core"
python3 -m compileall -q -s "$folder" -p "$place" --invalidation-mode unchecked-hash "$folder"
