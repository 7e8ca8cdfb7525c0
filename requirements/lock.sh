#!/usr/bin/env bash
# Lock pyproject.toml's requirements with hashes and without addresses: lock.sh UV
set -euo pipefail
uv=$1
cd "$(dirname "$0")/.."
options=(--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header)
"$uv" pip compile "${options[@]}" --all-extras pyproject.toml requirements/build.in --output-file requirements/all.txt
"$uv" pip compile "${options[@]}" requirements/bootstrap.in --constraints requirements/all.txt --output-file requirements/bootstrap.txt
