#!/usr/bin/env bash
# Lock the requirements of pyproject.toml, with hashes and without addresses: lock.sh UV
set -euo pipefail
uv=$1
cd "$(dirname "$0")/.."
options=(--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header)
# num2words needs docopt for its command only, and docopt has no wheel.
options+=(--no-emit-package docopt)
# botocore, which only moto needs, would hold back the Kubernetes client of the operator's image.
options+=(--overrides requirements/overrides.txt)
pinned=("${options[@]}" --constraints requirements/all.txt)
"$uv" pip compile "${options[@]}" --all-extras pyproject.toml requirements/build.in --output-file requirements/all.txt
"$uv" pip compile "${pinned[@]}" requirements/bootstrap.in --output-file requirements/bootstrap.txt
# The images. They use only the fonts of matplotlib and justmytype-western-core, so they do not need what these depend on.
drawing=(--no-emit-package justmytype --no-emit-package contourpy --no-emit-package cycler --no-emit-package kiwisolver --no-emit-package pyparsing)
"$uv" pip compile "${pinned[@]}" --extra operator --extra render --extra ui "${drawing[@]}" pyproject.toml --output-file requirements/cpu.txt
"$uv" pip compile "${pinned[@]}" --extra train --extra quantize pyproject.toml --output-file requirements/gpu.txt
# The tools of `make docs`, in a virtual environment of their own.
"$uv" pip compile "${pinned[@]}" requirements/docs.in --output-file requirements/docs.txt
