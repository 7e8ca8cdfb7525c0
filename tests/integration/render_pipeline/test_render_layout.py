"""Markdown and fitted pages through all steps, as `datasets` shows them to a reader."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deepsynth_render.page.characters import normalise
from integration.render_pipeline.render_steps import Steps, write_parquet

READER = """
import json, sys
from datasets import load_dataset
data = load_dataset(sys.argv[1], split="train")
columns = ["document_id", "page", "text", "fit", "font_size_px", "style"]

def describe(row):
    image = row["image"]
    return {**{name: row[name] for name in columns}, "size": image.size, "ink": image.getextrema()[0]}

print(json.dumps([describe(row) for row in data]))
"""
TEXTS = [
    f"# Title {number}\n\n"
    + f"- item **{number}** of a list, with \u6587\u5b57 and \u05e9\u05dc\u05d5\u05dd\n" * (3 + 4 * number)
    + "\n| a | b |\n|---|---|\n| `code  x` | 2 |\n"
    for number in range(8)
]


@pytest.mark.parametrize(
    "fit",
    [{"mode": "shrink", "maxShrinkPercent": 40, "cropToMultiplePx": 16}, {"mode": "balance"}],
    ids=lambda fit: str(fit["mode"]),
)
def test_a_reader_gets_the_source_of_markdown_on_fitted_pages(
    build_steps: Callable[..., Steps],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fit: dict[str, object],
) -> None:
    rows = [{"text": text, "summary": "A summary of the list."} for text in TEXTS]
    write_parquet(tmp_path / "source/train.parquet", rows, group_rows=10)
    page = {"format": "markdown", "fit": fit, "size": "320x208", "fontSizesPx": [14], "marginPx": 8}
    build_steps(tmp_path / "source", page=page).run_all()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    command = [sys.executable, "-c", READER, str(tmp_path / "out")]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    texts: dict[str, str] = {}
    for row in found:
        texts[row["document_id"]] = texts.get(row["document_id"], "") + row["text"]
        assert row["ink"] < 100
        assert row["fit"] == fit["mode"]
        assert row["size"][0] == 320
        assert row["size"][1] == 208 or row["size"][1] % 16 == 0
        assert row["style"] == 14 - row["font_size_px"]
    assert sorted(texts.values()) == sorted(map(normalise, TEXTS))
    assert any(row["size"][1] < 208 for row in found) == ("cropToMultiplePx" in fit)
