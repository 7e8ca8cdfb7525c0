"""Loads images on nodes without copying them: layers are unpacked once into the cache, nodes link to them.

    cache/layers/DIGEST                                     the unpacked layer
    node-1/disk/var/lib/containerd/.../snapshots/7/fs   ->  a symbolic link to it

Importing an image the usual way writes it twice per node (a 5.7 GB image: two minutes and 12 GB each).
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

from deepsynth_cluster.errors import ClusterError
from deepsynth_cluster.images.archives import Image, Layer, open_layer, read_images, write_index
from deepsynth_cluster.machine.machine import Machine
from deepsynth_cluster.programs.build import program
from deepsynth_host.cache import GIB, cache_folder, locked, require_free_space

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
    """Load every image of an archive on the nodes."""
    for image in read_images(archive):
        _unpack_layers(image)
        with ThreadPoolExecutor() as pool:
            list(pool.map(partial(_link_image, image), nodes))


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
    staging.chmod(0o755)  # independent of the umask
    digest = hashlib.sha256()
    with (
        open_layer(image, layer) as source,
        subprocess.Popen([*UNTAR, "--directory", str(staging)], stdin=subprocess.PIPE) as tar,
    ):
        if tar.stdin is None:
            raise AssertionError("tar has no stdin")
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            tar.stdin.write(chunk)
        tar.stdin.close()
    if tar.returncode or f"sha256:{digest.hexdigest()}" != layer.digest:
        raise ClusterError(
            f"{image.archive}: layer {layer.member} must be uncompressed and match its digest: write the archive again"
        )
    _translate_whiteouts(staging)
    staging.rename(_layer_folder(layer))


def _translate_whiteouts(folder: Path) -> None:
    """Translate a layer's deletions from the OCI notation (`.wh.NAME`) to overlayfs's own."""
    for path, _, files in os.walk(folder):
        for name in (file for file in files if file.startswith(WHITEOUT)):
            marker = Path(path, name)
            marker.unlink()
            if name == OPAQUE:
                os.setxattr(path, "trusted.overlay.opaque", b"y")
            else:
                os.mknod(marker.with_name(name.removeprefix(WHITEOUT)), stat.S_IFCHR, os.makedev(0, 0))


def _link_image(image: Image, node: Machine) -> None:
    known = {line.split()[0] for line in _ctr(node, "snapshots", "list").splitlines()}
    parent = ""
    for layer, chain in zip(image.layers, image.chain_ids(), strict=True):
        if chain not in known:
            key = f"linking-{chain}"
            if key in known:  # left by a load that was interrupted
                _ctr(node, "snapshots", "remove", key)
            _link(layer, chain, key, parent, node)
        parent = chain
    _register(image, node)


def _link(layer: Layer, chain: str, key: str, parent: str, node: Machine) -> None:
    """Create a snapshot as containerd does when it unpacks, with a link in place of its content.

    The linked folder is never written to: the kernel copies a file to the snapshot above before it changes it.
    """
    mounts = _ctr(node, "snapshots", "prepare", "--mounts", key, *([parent] if parent else []))
    content = node.on_disk(_writable_folder(mounts))
    content.rmdir()
    content.symlink_to(_layer_folder(layer))
    _ctr(node, "snapshots", "commit", chain, key)


def _writable_folder(mounts: str) -> str:
    """The folder for the content of a new snapshot, from its mounts. The lowest snapshot has no upperdir."""
    found = re.search(r"upperdir=([^\",]+)", mounts) or re.search(r"(/[^\",\s]+/snapshots/\d+/fs)", mounts)
    if found is None:
        raise ClusterError(f"no folder for the snapshot's content in its mounts: {mounts}")
    return found[1]


def _register(image: Image, node: Machine) -> None:
    index = node.folder / "image.tar"
    write_index(index, image)
    _ctr(node, "images", "import", "--no-unpack", str(index))
    index.unlink()


def _ctr(node: Machine, *arguments: str) -> str:
    return node.run(str(program("ctr")), "--namespace", "k8s.io", *arguments).stdout
