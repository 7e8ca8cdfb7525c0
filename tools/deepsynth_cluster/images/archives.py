"""Image archives as `docker save` writes them, and folders in the OCI image layout."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from deepsynth_cluster.errors import ClusterError


@dataclass(frozen=True)
class Layer:
    digest: str
    """sha256 of the uncompressed layer: the `diff_id` in the image's configuration."""
    member: str
    size: int


@dataclass(frozen=True)
class Image:
    archive: Path
    names: tuple[str, ...]
    config: bytes
    layers: tuple[Layer, ...]
    """From the lowest to the highest."""

    def chain_ids(self) -> Iterator[str]:
        """The chain id of each layer, which stands for it and all layers below, as in the OCI image specification.

        chain(1) = digest(1); chain(n) = sha256(chain(n-1) + " " + digest(n))
        """
        chain = ""
        for layer in self.layers:
            chain = digest_of(f"{chain} {layer.digest}".encode()) if chain else layer.digest
            yield chain


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def read_images(archive: Path) -> tuple[Image, ...]:
    """The images in a docker-archive, or in the folder of an OCI layout with uncompressed layers."""
    try:
        if archive.is_dir():
            entries = json.loads((archive / "index.json").read_text())["manifests"]
            return tuple(_read_layout_image(archive, entry) for entry in entries)
        with tarfile.open(archive, "r:") as tar:
            entries = json.loads(_read(tar, "manifest.json"))
            return tuple(_read_image(archive, tar, entry) for entry in entries)
    except (OSError, KeyError, tarfile.TarError, json.JSONDecodeError) as error:
        raise ClusterError(f"{archive} is neither a docker-archive nor an OCI layout: {error}") from error


@contextmanager
def open_layer(image: Image, layer: Layer) -> Iterator[IO[bytes]]:
    if image.archive.is_dir():
        with (image.archive / layer.member).open("rb") as blob:
            yield blob
        return
    with tarfile.open(image.archive, "r:") as tar:
        yield _open(tar, layer.member)


def write_archive(path: Path, name: str, layers: Sequence[Mapping[str, bytes]], entrypoint: Sequence[str]) -> None:
    """Write a docker-archive whose layers hold only programs: each layer maps a file name to its content."""
    packed = [_tar({file: (content, 0o755) for file, content in layer.items()}) for layer in layers]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint)},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in packed]},
    }
    members = {f"layer-{number}.tar": layer for number, layer in enumerate(packed)}
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": list(members)}]
    members |= {"manifest.json": _json(manifest), "config.json": _json(config)}
    path.write_bytes(_tar({member: (content, 0o644) for member, content in members.items()}))


def write_index(path: Path, image: Image) -> None:
    """Write an OCI layout that describes the image, without its layers."""
    layers = [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.digest, "size": layer.size}
        for layer in image.layers
    ]
    config = _describe("application/vnd.oci.image.config.v1+json", image.config)
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = _json({"schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": layers})
    named = [
        _describe(manifest_type, manifest) | {"annotations": {"io.containerd.image.name": name}} for name in image.names
    ]
    members = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": named}),
        _blob(manifest): manifest,
        _blob(image.config): image.config,
    }
    path.write_bytes(_tar({member: (content, 0o644) for member, content in members.items()}))


def _read_image(archive: Path, tar: tarfile.TarFile, entry: dict[str, list[str] | str]) -> Image:
    config = _read(tar, str(entry["Config"]))
    digests = json.loads(config)["rootfs"]["diff_ids"]
    members = entry["Layers"]
    layers = tuple(
        Layer(digest, member, tar.getmember(member).size) for digest, member in zip(digests, members, strict=True)
    )
    return Image(archive, tuple(_full_name(tag) for tag in entry["RepoTags"] or ()), config, layers)


def _read_layout_image(layout: Path, entry: dict[str, Any]) -> Image:
    manifest = json.loads((layout / _member(entry["digest"])).read_bytes())
    config = (layout / _member(manifest["config"]["digest"])).read_bytes()
    # An uncompressed layer's digest is its `diff_id`. Unpacking fails if it is compressed.
    layers = tuple(Layer(layer["digest"], _member(layer["digest"]), layer["size"]) for layer in manifest["layers"])
    return Image(layout, (_full_name(entry["annotations"]["org.opencontainers.image.ref.name"]),), config, layers)


def _full_name(tag: str) -> str:
    """The full name that Docker means: `probe:1` is `docker.io/library/probe:1`; a name with a host stays as it is."""
    host, _, rest = tag.partition("/")
    if rest and ("." in host or ":" in host or host == "localhost"):
        return tag
    return f"docker.io/{tag}" if rest else f"docker.io/library/{tag}"


def _read(tar: tarfile.TarFile, member: str) -> bytes:
    return _open(tar, member).read()


def _open(tar: tarfile.TarFile, member: str) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:
        raise ClusterError(f"{member} is not a file in the archive")
    return content


def _tar(members: Mapping[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, (content, mode) in members.items():
            header = tarfile.TarInfo(name)
            header.size, header.mode = len(content), mode
            tar.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def _describe(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def _blob(content: bytes) -> str:
    return _member(digest_of(content))


def _member(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
