#!/usr/bin/env bash
# Create a virtual environment from the locked requirements: setup.sh FOLDER
set -euo pipefail
venv=$1
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")" && pwd)
need_gib=9 # torch with its CUDA libraries unpacks to 5.2 GiB; uv also keeps the wheels while it installs them

say() { printf 'setup: %s\n' "$*" >&2; }

command -v "$python" >/dev/null || { say "no $python found; install Python 3.11 or newer (Debian: apt-get install python3 python3-venv)"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "$("$python" --version) is too old: Python 3.11 or newer is required (choose another one with make PYTHON=python3.12)"; exit 1; }

mkdir -p "$venv"
free_gib=$(df -Pk "$venv" | awk 'NR==2 {print int($4 / 1048576)}')
if [ ! -e "$venv/bin/torchrun" ] && [ "$free_gib" -lt "$need_gib" ]; then
    say "$need_gib GiB of free disk are required in $(cd "$venv" && pwd), got $free_gib GiB (PyTorch brings its CUDA libraries)"
    exit 1
fi

make_venv() { "$python" -m venv "$venv"; }
if [ ! -x "$venv/bin/pip" ] && ! make_venv >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing python3-venv"
        apt-get update -qq && apt-get -o DPkg::Lock::Timeout=300 install -y -qq python3-venv >/dev/null
        make_venv
    else
        say "$python has no working venv module; install it (Debian: apt-get install python3-venv)"
        exit 1
    fi
fi

# The core of the renderer is compiled when the project is installed.
has_compiler() {
    command -v "${CC:-cc}" >/dev/null && "$venv/bin/python" - <<'EOF'
import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())
EOF
}
if ! has_compiler; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing a C compiler and Python's headers"
        apt-get update -qq && apt-get -o DPkg::Lock::Timeout=300 install -y -qq gcc libc6-dev libpython3-dev >/dev/null
    fi
    has_compiler || say "no C compiler or no Python.h found: the renderer will run without its compiled core, several times slower; install them (Debian: apt-get install gcc libc6-dev libpython3-dev) and run 'make setup' again"
fi

say "installing the locked requirements into $venv (6.4 GiB, once)"
"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement "$here/bootstrap.txt"
export UV_LINK_MODE=hardlink VIRTUAL_ENV=$venv UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300} UV_HTTP_RETRIES=${UV_HTTP_RETRIES:-10}
# The lock is complete: without --no-deps, uv would ask for packages that are omitted on purpose.
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --require-hashes --requirement "$here/all.txt"
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable "$here/.."
