"""Images, unpacked once into the cache and lent to every node.

Importing an image the usual way writes it twice per node (a 5.7 GB image: two minutes and 12 GB each). Here each layer
is unpacked once per machine; a node's snapshot of it is a symbolic link, and its packed bytes are never stored.
"""

import hashlib
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from deepsynth_cluster.archives import Image, Layer, open_layer, read_images, write_index
from deepsynth_cluster.cache import GIB, ClusterError, cache_folder, locked, require_free_space
from deepsynth_cluster.machine import Machine
from deepsynth_cluster.programs import program

CHUNK = 1 << 20
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
UNTAR = (
    "tar",
    "--extract",
    "--numeric-owner",
    "--same-owner",
    "--preserve-permissions",
    "--xattrs",
    "--xattrs-include=*",
)


def load_archive(archive: Path, nodes: Sequence[Machine]) -> None:
    """Put every image of an archive on the nodes."""
    for image in read_images(archive):
        _unpack_layers(image)
        with ThreadPoolExecutor() as pool:
            list(pool.map(partial(_lend_image, image), nodes))


def _layer_folder(layer: Layer) -> Path:
    return cache_folder("layers") / layer.digest.removeprefix("sha256:")


def _unpack_layers(image: Image) -> None:
    with locked(cache_folder("layers") / "lock"):
        missing = [layer for layer in image.layers if not _layer_folder(layer).exists()]
        size = sum(layer.size for layer in missing) / GIB
        require_free_space(cache_folder("layers"), size * 1.1, f"unpacking {' '.join(image.names)}")
        began = time.monotonic()
        for layer in missing:
            _unpack(image, layer)
        if size > 0.1:
            print(f"unpacked {size:.1f} GiB of {' '.join(image.names)}: {time.monotonic() - began:.0f} s", flush=True)


def _unpack(image: Image, layer: Layer) -> None:
    staging = _layer_folder(layer).with_suffix(".staging")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    staging.chmod(0o755)  # whatever the umask says
    digest = hashlib.sha256()
    with (
        open_layer(image, layer) as source,
        subprocess.Popen([*UNTAR, "--directory", str(staging)], stdin=subprocess.PIPE) as tar,
    ):
        if tar.stdin is None:
            raise AssertionError("a pipe was asked for")
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            tar.stdin.write(chunk)
        tar.stdin.close()
    if tar.returncode or f"sha256:{digest.hexdigest()}" != layer.digest:
        raise ClusterError(f"{image.archive}: layer {layer.member} is compressed or damaged: write the archive again")
    _translate_whiteouts(staging)
    staging.rename(_layer_folder(layer))


def _translate_whiteouts(folder: Path) -> None:
    """Say in overlayfs's way what a layer deletes from those below it."""
    for path, _, files in os.walk(folder):
        for name in (file for file in files if file.startswith(WHITEOUT)):
            marker = Path(path, name)
            marker.unlink()
            if name == OPAQUE:
                os.setxattr(path, "trusted.overlay.opaque", b"y")
            else:
                os.mknod(marker.with_name(name.removeprefix(WHITEOUT)), stat.S_IFCHR, os.makedev(0, 0))


def _lend_image(image: Image, node: Machine) -> None:
    known = {line.split()[0] for line in _ctr(node, "snapshots", "list").splitlines()}
    parent = ""
    for layer, chain in zip(image.layers, image.chain_ids(), strict=True):
        if chain not in known:
            key = f"lending-{chain}"
            if key in known:  # of a loading that was interrupted
                _ctr(node, "snapshots", "remove", key)
            _lend(layer, chain, key, parent, node)
        parent = chain
    _register(image, node)


def _lend(layer: Layer, chain: str, key: str, parent: str, node: Machine) -> None:
    """Do what unpacking does, prepare and commit a snapshot, with a link for its content.

    Only snapshots above it are ever written to: the kernel copies a file up before it changes it.
    """
    mounts = _ctr(node, "snapshots", "prepare", "--mounts", key, *([parent] if parent else []))
    content = node.on_disk(_writable_folder(mounts))
    content.rmdir()
    content.symlink_to(_layer_folder(layer))
    _ctr(node, "snapshots", "commit", chain, key)


def _writable_folder(mounts: str) -> str:
    """Find in the mounts of a new snapshot where its own content goes: the lowest one is a folder by itself."""
    found = re.search(r"upperdir=([^\",]+)", mounts) or re.search(r"(/[^\",\s]+/snapshots/\d+/fs)", mounts)
    if found is None:
        raise ClusterError(f"no upper folder in the mounts {mounts}")
    return found[1]


def _register(image: Image, node: Machine) -> None:
    index = node.folder / "image.tar"
    write_index(index, image)
    _ctr(node, "images", "import", "--no-unpack", str(index))
    index.unlink()


def _ctr(node: Machine, *arguments: str) -> str:
    return node.run(str(program("ctr")), "--namespace", "k8s.io", *arguments).stdout
