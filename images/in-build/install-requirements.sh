#!/usr/bin/env bash
# Make the environment /opt/deepsynth from a locked file beside this script: install-requirements.sh FILE [--keep-pip]
# --keep-pip: for images that are made from this one.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=/opt/deepsynth

# The code is copied to $root/packages by later layers.
python3 -m venv --without-pip --symlinks "$root"
site=$("$root/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$root/packages" > "$site/deepsynth.pth"

[ ! -s /run/secrets/pip.conf ] || export PIP_CONFIG_FILE=/run/secrets/pip.conf
tools=$(mktemp -d)
python3 -m venv "$tools"
# The lock is complete: without --no-deps, pip would ask for what was left out on purpose.
"$tools/bin/pip" --python "$root/bin/python" --disable-pip-version-check --no-input --no-cache-dir --quiet install \
    --root-user-action ignore --no-compile --no-deps --require-hashes --only-binary :all: --requirement "$here/$1"
[ "${2:-}" != --keep-pip ] || cp -r "$tools"/lib/python3*/site-packages/pip{,-*.dist-info} "$site"
rm -rf "$tools"
bash "$here/remove-unused.sh" "$site"

# The root is read-only when it runs, and an image does not change: bytecode for everything, whose source is never asked for its date.
compile=(python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash)
stdlib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
find "$stdlib" -name '*.pyc' -delete
"${compile[@]}" -x '/(test|tests|idlelib|turtledemo|lib2to3|site-packages|dist-packages)/' "$stdlib"
"${compile[@]}" "$site" || echo "What this Python cannot compile stays source: it is for other versions." >&2

echo 'deepsynth:x:65532:65532:DeepSynth:/tmp:/usr/sbin/nologin' >> /etc/passwd
echo 'deepsynth:x:65532:' >> /etc/group
