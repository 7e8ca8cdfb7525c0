#!/usr/bin/env bash
# Make our packages what an installation would leave: finish-packages.sh FOLDER PLACE-IN-IMAGE VERSION
set -euo pipefail
folder=$1 place=$2 version=$3
metadata=$folder/deepsynth_operator-$version.dist-info/METADATA

mkdir "${metadata%/*}"
printf 'Metadata-Version: 2.1\nName: deepsynth-operator\nVersion: %s\n' "$version" > "$metadata"
python3 -m compileall -q -s "$folder" -p "$place" --invalidation-mode unchecked-hash "$folder"
