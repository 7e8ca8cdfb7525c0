"""Boxes of words and lines, as datasets and training read them."""

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
    "feature": repr(data.features["boxes"]),
    "boxes": data["boxes"][:],
    "sizes": [image.size for image in data["image"]],
}))
"""


def build_page(**settings: Any) -> dict[str, Any]:
    return {"size": "160x120", "fontSizesPx": [8], "marginPx": 8, **settings}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_parquet(tmp_path / "source/train.parquet", build_rows(9), group_rows=4)
    return tmp_path / "source"


@pytest.mark.parametrize("settings", [{}, {"augmentation": {"jpegQuality": 50}}, {"columns": 1, "align": "justify"}])
def test_datasets_reads_the_words_of_each_page_with_their_places(
    build_steps: Build, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    build_steps(source, page=build_page(boxes="words", **settings), rowsPerShard=5).run_all()
    rows = read_pages(tmp_path / "out")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    command = [sys.executable, "-c", LOAD, str(tmp_path / "out")]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["feature"].startswith("List({'text': Value('string'), 'left': Value('int32'), 'top': Value('int32')")
    assert found["boxes"] == [row["boxes"] for row in rows]
    for row, (width, height) in zip(rows, found["sizes"], strict=True):
        assert [box["text"] for box in row["boxes"]] == row["text"].split()
        assert all(0 <= box["left"] < box["right"] <= width for box in row["boxes"])
        assert all(0 <= box["top"] < box["bottom"] <= height for box in row["boxes"])


def test_training_reads_pages_with_boxes(build_steps: Build, source: Path, tmp_path: Path) -> None:
    build_steps(source, page=build_page(boxes="lines")).run_all()
    (file,) = (tmp_path / "out/data").glob("*.parquet")
    convert_parquet(file, tmp_path / "pages.arrow", "train")
    with pa.memory_map(str(tmp_path / "pages.arrow")) as mapped:
        assert pa.ipc.open_file(mapped).read_all().num_rows == len(read_pages(tmp_path / "out"))


def test_without_the_option_there_is_no_column(build_steps: Build, source: Path, tmp_path: Path) -> None:
    build_steps(source).run_all()
    assert "boxes" not in read_pages(tmp_path / "out")[0]
