"""What a dataset says about how its pages are set, and how much text they hold."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_train.data.files.convert import convert_parquet
from integration.render_pipeline.render_steps import Steps, build_rows, read_pages, write_parquet

Build = Callable[..., Steps]

STYLE_COLUMNS = ("font_family", "font_size_px", "text_columns", "style", "fit", "seed")
PAGE = {
    "size": "320x200",
    "fontFamilies": ["DejaVu Sans", "DejaVu Serif"],
    "fontSizesPx": [9, 12],
    "columns": 2,
    "marginPx": 8,
    "whitespace": "monospace",
    "seed": 5,
}
FILTER = """
import json, sys
from datasets import load_dataset
data = load_dataset(sys.argv[1], split="train")
columns = ["font_family", "font_size_px"]
large = data.filter(lambda *style: style == ("DejaVu Serif", 12), input_columns=columns)
types = {name: feature.dtype for name, feature in data.features.items()}
print(json.dumps({"types": types, "rows": large["document_id"][:]}))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """40 documents, of which the last one is a table."""
    rows = [*build_rows(39), {"text": "name      value\nsize      9\nweight    12\n" * 3, "summary": "A small table."}]
    write_parquet(tmp_path / "source/train.parquet", rows, group_rows=10)
    return tmp_path / "source"


def read_manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "deepsynth/manifest.json").read_bytes())
    return manifest


def test_each_row_says_how_its_page_is_set(build_steps: Build, source: Path, tmp_path: Path) -> None:
    build_steps(source, page=PAGE).run_all()
    rows = read_pages(tmp_path / "out")
    expected = [
        ("DejaVu Sans", 9, 2, 0, "fixed", 5),
        ("DejaVu Sans", 12, 2, 1, "fixed", 5),
        ("DejaVu Serif", 9, 2, 2, "fixed", 5),
        ("DejaVu Serif", 12, 2, 3, "fixed", 5),
    ]
    found = {tuple(row[name] for name in STYLE_COLUMNS) for row in rows if row["document_id"] != "train-39"}
    assert found == set(expected)
    (table,) = {(row["font_family"], row["style"]) for row in rows if row["document_id"] == "train-39"}
    assert table in {("DejaVu Sans Mono", 4), ("DejaVu Sans Mono", 5)}


def test_the_style_of_a_document_does_not_depend_on_the_size_of_shards(
    build_steps: Build, source: Path, tmp_path: Path
) -> None:
    found = []
    for rows_per_shard in [7, 40]:
        build_steps(source, f"out{rows_per_shard}", page=PAGE, rowsPerShard=rows_per_shard).run_all()
        rows = read_pages(tmp_path / f"out{rows_per_shard}")
        styles = {(row["document_id"], row["style"]) for row in rows}
        assert len(styles) == 40
        found.append((styles, read_manifest(tmp_path / f"out{rows_per_shard}")["styles"]))
    assert found[0] == found[1]


def test_manifest_and_card_count_documents_and_pages_by_style(build_steps: Build, source: Path, tmp_path: Path) -> None:
    build_steps(source, page=PAGE, rowsPerShard=7).run_all()
    rows, manifest = read_pages(tmp_path / "out"), read_manifest(tmp_path / "out")
    pages = Counter(row["style"] for row in rows)
    documents = Counter(row["style"] for row in rows if row["page"] == 0)
    listed = {style["style"]: (style["documents"], style["pages"]) for style in manifest["styles"]}
    assert listed == {style: (documents[style], pages[style]) for style in sorted(pages)}
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert f"| 3 | DejaVu Serif | 12 | 2 | {documents[3]} | {pages[3]} |" in card


def test_the_library_datasets_filters_pages_by_style(
    build_steps: Build, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_steps(source, page=PAGE).run_all()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    command = [sys.executable, "-c", FILTER, str(tmp_path / "out")]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["rows"] == [row["document_id"] for row in read_pages(tmp_path / "out") if row["style"] == 3]
    types = {
        "font_family": "string",
        "font_size_px": "int32",
        "text_columns": "int32",
        "style": "int32",
        "fit": "string",
        "seed": "int64",
    }
    assert types.items() <= found["types"].items()


def test_density_is_the_average_over_all_pages(build_steps: Build, source: Path, tmp_path: Path) -> None:
    report = build_steps(source, page=PAGE, rowsPerShard=7).run_all().publish
    rows = read_pages(tmp_path / "out")
    assert report is not None
    assert report.density is not None
    assert report.density.words_per_page == round(sum(len(row["text"].split()) for row in rows) / len(rows))
    assert report.density.characters_per_page == round(sum(len(row["text"]) for row in rows) / len(rows))
    assert report.density.image_tokens_per_page == 5 * 4  # 320x200 in squares of 64 pixels
    tokens = sum(-(-len(row["text"]) // 4) for row in rows)
    assert report.density.text_tokens_per_image_token == f"{tokens / (20 * len(rows)):.2f}"
    assert read_manifest(tmp_path / "out")["density"] == report.density.to_dict()
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert f"about {report.density.text_tokens_per_image_token} text tokens per image token" in card


def test_shards_of_an_earlier_version_stay_readable_next_to_new_ones(
    build_steps: Build, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generation that an upgrade interrupts: its first shard and receipt are as the version before wrote them."""
    steps = build_steps(source, page=PAGE, rowsPerShard=20)
    steps.plan()
    steps.render_all()
    (staging,) = {path.parent.parent for path in tmp_path.rglob("receipts/00000.json")}
    _write_as_before(staging / "receipts/00000.json", staging / "data/train-00000.parquet")
    report = steps.succeed("publish").publish
    assert report is not None
    assert report.density is None
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    command = [sys.executable, "-c", FILTER, str(tmp_path / "out")]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    new = pq.read_table(tmp_path / "out/data/train-00001.parquet").to_pylist()
    assert found["rows"] == [row["document_id"] for row in new if row["style"] == 3]


def _write_as_before(receipt: Path, file: Path) -> None:
    import hashlib

    pq.write_table(pq.read_table(file).drop_columns(list(STYLE_COLUMNS)), file)
    content = file.read_bytes()
    old = json.loads(receipt.read_bytes())
    del old["pageText"], old["styles"]
    old["files"][0] |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    receipt.write_text(json.dumps(old))


def test_training_reads_pages_with_columns_of_styles(build_steps: Build, source: Path, tmp_path: Path) -> None:
    build_steps(source, page=PAGE).run_all()
    (file,) = (tmp_path / "out/data").glob("*.parquet")
    convert_parquet(file, tmp_path / "pages.arrow", "train")
    with pa.memory_map(str(tmp_path / "pages.arrow")) as mapped:
        table = pa.ipc.open_file(mapped).read_all()
        assert table.num_rows == len(read_pages(tmp_path / "out"))
        assert "font_family" not in table.column_names


def test_pages_and_refusals_do_not_depend_on_the_order_in_which_styles_are_drawn(
    build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"text": "word " * (900 if number % 7 == 3 else 20 + number), "summary": f"Summary {number}."}
        for number in range(40)
    ]
    write_parquet(tmp_path / "source/train.parquet", rows, group_rows=10)
    settings = {"page": {**PAGE, "maxPages": 4}, "maxRefusedPercent": 50}
    build_steps(tmp_path / "source", **settings).run_all()
    together = _read_all(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    monkeypatch.setattr("deepsynth_render.render.style_order.MAX_DOCUMENTS", 1)
    build_steps(tmp_path / "source", **settings).run_all()
    assert _read_all(tmp_path / "out") == together
    assert read_manifest(tmp_path / "out")["dropped"]


def _read_all(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
