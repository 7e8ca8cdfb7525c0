#!/usr/bin/env bash
# Make the environment /opt/deepsynth from a locked file next to this script: install-requirements.sh FILE [--keep-pip]
# --keep-pip: for images that are made from this one.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=/opt/deepsynth
tools=$(mktemp -d)

# The machine's mirrors and certificates, where the build was handed them.
[ ! -s /run/secrets/pip.conf ] || export PIP_CONFIG_FILE=/run/secrets/pip.conf
[ ! -s /run/secrets/uv.toml ] || export UV_CONFIG_FILE=/run/secrets/uv.toml
[ ! -s /run/secrets/certificates.pem ] || export SSL_CERT_FILE=/run/secrets/certificates.pem
# What uv unpacks is linked into the environment and not copied.
export UV_CACHE_DIR=$tools/cache UV_LINK_MODE=hardlink UV_HTTP_TIMEOUT=300 UV_HTTP_RETRIES=10

python3 -m venv "$tools/pip"
"$tools/pip/bin/pip" install --disable-pip-version-check --no-cache-dir --quiet --require-hashes --requirement "$here/bootstrap.txt"

# The code is copied to $root/packages by a later layer.
python3 -m venv --without-pip --symlinks "$root"
site=$("$root/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$root/packages" > "$site/deepsynth.pth"
# The lock is complete: without --no-deps, uv would ask for packages that are omitted on purpose.
"$tools/pip/bin/uv" pip install --quiet --python "$root/bin/python" --no-deps --require-hashes --only-binary :all: \
    --requirement "$here/$1"
[ "${2:-}" != --keep-pip ] || cp -r "$tools"/pip/lib/python3*/site-packages/pip{,-*.dist-info} "$site"
rm -rf "$tools"
bash "$here/remove-unused.sh" "$site"

# An image does not change and its root is read-only: bytecode for everything, which never asks for its source's date.
compile=(python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash)
stdlib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
find "$stdlib" -name '*.pyc' -delete
"${compile[@]}" -x '/(test|tests|idlelib|turtledemo|lib2to3|site-packages|dist-packages)/' "$stdlib"
# Thousands of the Kubernetes client's models are imported one by one, if at all.
"${compile[@]}" -x '/kubernetes/(aio/)?client/(api|models)/' "$site" ||
    echo "What this Python cannot compile stays source: it is for other versions." >&2

echo 'deepsynth:x:65532:65532:DeepSynth:/tmp:/usr/sbin/nologin' >> /etc/passwd
echo 'deepsynth:x:65532:' >> /etc/group
