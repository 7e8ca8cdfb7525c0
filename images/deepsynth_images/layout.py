"""OCI layouts: a folder of blobs, and an index that names images among them."""

import json
from collections.abc import Iterator
from pathlib import Path


def prune_layout(layout: Path) -> None:
    """Delete the blobs that no image of the index needs: those of images that were built before."""
    needed = {digest.partition(":")[2] for digest in _list_digests(layout)}
    for blob in (layout / "blobs/sha256").iterdir():
        if blob.name not in needed:
            blob.unlink()


def _list_digests(layout: Path) -> Iterator[str]:
    for entry in json.loads((layout / "index.json").read_text())["manifests"]:
        yield entry["digest"]
        manifest = json.loads((layout / "blobs/sha256" / entry["digest"].partition(":")[2]).read_text())
        yield manifest["config"]["digest"]
        yield from (layer["digest"] for layer in manifest["layers"])
