"""Layouts keep one image's blobs."""

import json
from pathlib import Path

from deepsynth_images.layout import NAME, prune_layout


def write_manifest(blobs: Path, name: str, *layers: str) -> dict[str, str]:
    manifest = {
        "config": {"digest": f"sha256:{name}-config"},
        "layers": [{"digest": f"sha256:{layer}"} for layer in layers],
    }
    (blobs / name).write_text(json.dumps(manifest))
    for blob in (f"{name}-config", *layers):
        (blobs / blob).touch()
    return {"digest": f"sha256:{name}"}


def test_an_image_that_lost_its_name_goes_but_for_the_layers_of_the_present_one(tmp_path: Path) -> None:
    blobs = tmp_path / "blobs/sha256"
    blobs.mkdir(parents=True)
    older = write_manifest(blobs, "older", "low", "older-code")
    newer = write_manifest(blobs, "newer", "low", "newer-code") | {"annotations": {NAME: "localhost/image:dev"}}
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [older, newer]}))

    prune_layout(tmp_path)

    assert {blob.name for blob in blobs.iterdir()} == {"newer", "newer-config", "low", "newer-code"}
    assert json.loads((tmp_path / "index.json").read_text()) == {"schemaVersion": 2, "manifests": [newer]}
