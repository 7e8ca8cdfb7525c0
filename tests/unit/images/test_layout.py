"""Layouts keep one image's blobs."""

import json
from pathlib import Path

from deepsynth_images.layout import prune_layout


def test_blobs_of_earlier_images_go_and_those_of_the_present_one_stay(tmp_path: Path) -> None:
    blobs = tmp_path / "blobs/sha256"
    blobs.mkdir(parents=True)
    manifest = {"config": {"digest": "sha256:config"}, "layers": [{"digest": "sha256:low"}, {"digest": "sha256:high"}]}
    (blobs / "manifest").write_text(json.dumps(manifest))
    for name in ("config", "low", "high", "older"):
        (blobs / name).touch()
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [{"digest": "sha256:manifest"}]}))

    prune_layout(tmp_path)

    assert {blob.name for blob in blobs.iterdir()} == {"manifest", "config", "low", "high"}
