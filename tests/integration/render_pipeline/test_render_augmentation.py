"""Pages that look like scans, as datasets and training read them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from deepsynth_train.data.files.convert import convert_parquet
from integration.render_pipeline.render_steps import Steps, build_rows, read_pages, write_parquet

Build = Callable[..., Steps]

LOAD = """
import json, sys
from datasets import load_dataset
data = load_dataset(sys.argv[1], split="train")
print(json.dumps({
    "images": sorted({(type(image).__name__, image.mode, *image.size) for image in data["image"]}),
    "augmented": data["augmented"][:],
}))
"""


def build_page(**augmentation: Any) -> dict[str, Any]:
    return {"size": "160x120", "fontSizesPx": [8], "marginPx": 8, "augmentation": augmentation}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_parquet(tmp_path / "source/train.parquet", build_rows(30), group_rows=10)
    return tmp_path / "source"


def test_pages_do_not_depend_on_the_size_of_shards(build_steps: Build, source: Path, tmp_path: Path) -> None:
    found = []
    for rows_per_shard in [7, 30]:
        build_steps(source, f"out{rows_per_shard}", page=build_page(), rowsPerShard=rows_per_shard).run_all()
        found.append(
            {row["image"]["path"]: row["image"]["bytes"] for row in read_pages(tmp_path / f"out{rows_per_shard}")}
        )
    assert found[0] == found[1]
    assert len(set(found[0].values())) == len(found[0])


@pytest.mark.parametrize("quality", [None, 60])
def test_readers_see_images_and_which_of_them_are_changed(
    build_steps: Build, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quality: int | None
) -> None:
    suffix, kind = ("jpg", "JpegImageFile") if quality else ("png", "PngImageFile")
    build_steps(source, page=build_page(percent=50, jpegQuality=quality)).run_all()
    rows = read_pages(tmp_path / "out")
    assert {row["image"]["path"].rsplit(".")[-1] for row in rows if row["augmented"]} == {suffix}
    assert {row["image"]["path"].rsplit(".")[-1] for row in rows if not row["augmented"]} == {"png"}
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    command = [sys.executable, "-c", LOAD, str(tmp_path / "out")]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["images"] == sorted([name, "L", 160, 120] for name in {kind, "PngImageFile"})
    assert found["augmented"] == [row["augmented"] for row in rows]
    (file,) = (tmp_path / "out/data").glob("*.parquet")
    convert_parquet(file, tmp_path / "pages.arrow", "train")
    with pa.memory_map(str(tmp_path / "pages.arrow")) as mapped:
        assert pa.ipc.open_file(mapped).read_all().num_rows == len(rows)


def test_plan_and_card_say_what_pages_depend_on(build_steps: Build, source: Path, tmp_path: Path) -> None:
    build_steps(source, page=build_page(noise=9)).run_all()
    manifest = json.loads((tmp_path / "out/deepsynth/manifest.json").read_bytes())
    assert {"numpy", "pillow"} <= manifest["look"]["versions"].keys()
    assert manifest["look"]["page"]["augmentation"]["noise"] == 9
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert "changed to look like scans" in card
    assert "noise 9" in card


def test_clean_pages_have_no_column_for_it(build_steps: Build, source: Path, tmp_path: Path) -> None:
    build_steps(source).run_all()
    assert "augmented" not in read_pages(tmp_path / "out")[0]
    assert "augmented" not in (tmp_path / "out/README.md").read_text(encoding="utf-8")
