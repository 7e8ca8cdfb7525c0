"""OCI layouts: a folder of blobs, and an index that names images among them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

NAME: Final = "org.opencontainers.image.ref.name"


def prune_layout(layout: Path) -> None:
    """Forget images that have lost their name to a newer one, and delete the blobs that nothing needs."""
    index = json.loads((layout / "index.json").read_text())
    index["manifests"] = [entry for entry in index["manifests"] if NAME in entry.get("annotations", {})]
    (layout / "index.json").write_text(json.dumps(index))
    needed = {_hex(digest) for entry in index["manifests"] for digest in _list_digests(layout, entry)}
    for blob in (layout / "blobs/sha256").iterdir():
        if blob.name not in needed:
            blob.unlink()


def _list_digests(layout: Path, entry: dict[str, Any]) -> Iterator[str]:
    yield entry["digest"]
    manifest = json.loads((layout / "blobs/sha256" / _hex(entry["digest"])).read_text())
    yield manifest["config"]["digest"]
    yield from (layer["digest"] for layer in manifest["layers"])


def _hex(digest: str) -> str:
    return digest.partition(":")[2]
