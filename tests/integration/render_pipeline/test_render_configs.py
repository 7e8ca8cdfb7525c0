"""Several configurations of a source in one dataset: spec.source.configs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepsynth_render.documents.dropped_rows import read_dropped_rows
from integration.render_pipeline.render_steps import (
    Steps,
    build_rows,
    dropped,
    read_pages,
    write_jsonl,
    write_parquet,
)

Build = Callable[..., Steps]
Row = dict[str, str]


def rename(rows: list[Row], text: str, summary: str) -> list[Row]:
    return [{text: row["text"], summary: row["summary"]} for row in rows]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """de: 4 and 2 rows of Parquet in two row groups; fr: 3 rows of JSON with other columns, one of them a duplicate."""
    folder = tmp_path / "source"
    write_parquet(folder / "de/train.parquet", build_rows(4), group_rows=2)
    write_parquet(folder / "de/test.parquet", build_rows(2, 50))
    write_jsonl(folder / "fr/train.jsonl", rename([*build_rows(1), *build_rows(2, 100)], "article", "headline"))
    write_jsonl(folder / "notes/questions.jsonl", build_rows(1, 200))
    configs: list[dict[str, Any]] = [
        {"config_name": "de", "data_dir": "de"},
        {"config_name": "fr", "data_dir": "fr"},
        {"config_name": "notes", "data_files": [{"split": "questions", "path": "notes/*"}]},
    ]
    card = yaml.safe_dump({"language": ["de", "fr"], "configs": configs})
    (folder / "README.md").write_text(f"---\n{card}---\n")
    return folder


def test_rows_of_several_configurations_become_one_dataset_that_names_them(
    build_steps: Build, source: Path, tmp_path: Path
) -> None:
    steps = build_steps({"uri": f"file://{source}", "configs": ["fr", "de"]})
    report = steps.plan()
    assert report.plan is not None
    assert dropped(report) == {"Duplicate": 1}
    assert [(read.config, read.text, read.summary, read.rows) for read in report.plan.columns] == [
        ("fr", "article", "headline", 3),
        ("de", "text", "summary", 6),
    ]
    assert [(entry.reason, entry.examples) for entry in report.plan.skipped_files] == [
        ("OtherConfiguration", ["notes/questions.jsonl"])
    ]
    steps.render_all()
    steps.succeed("publish")
    pages = read_pages(tmp_path / "out")
    origins = {
        page["document_id"]: tuple(page[f"original_{part}"] for part in ("config", "split", "index")) for page in pages
    }
    assert origins == {
        **{f"test-{number}": ("de", "test", number) for number in range(2)},
        **{f"train-{number}": ("fr", "train", number) for number in range(3)},
        **{f"train-{number + 3}": ("de", "train", number) for number in range(1, 4)},
    }
    assert {(page["original_config"], page["language"]) for page in pages} == {("de", "de"), ("fr", "fr")}
    written = {("fr", 1): "A fox, number 100.", ("de", 3): "A fox, number 3."}
    assert (
        written.items()
        <= {(page["original_config"], page["original_index"]): page["summary"] for page in pages}.items()
    )
    (row,) = read_dropped_rows(tmp_path / "out/deepsynth/dropped.parquet")
    assert (row.split, row.index, row.file, row.reason) == ("train", 0, "de/train.parquet", "Duplicate")
    card = (tmp_path / "out/README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["language"] == ["fr", "de"]
    assert "| `fr` | 3 | `article` | `headline` |\n| `de` | 6 | `text` | `summary` |" in card
    manifest = json.loads((tmp_path / "out/deepsynth/manifest.json").read_bytes())
    assert manifest["source"]["configs"] == [
        {"name": "fr", "language": "fr", "rows": {"train": 3}},
        {"name": "de", "language": "de", "rows": {"test": 2, "train": 4}},
    ]


def test_the_limit_of_rows_holds_for_each_configuration(build_steps: Build, source: Path) -> None:
    asked = {"uri": f"file://{source}", "configs": ["de", "fr"], "splits": ["train"], "maxRowsPerSplit": 2}
    report = build_steps(asked).plan().plan
    assert report is not None
    assert [(read.config, read.rows) for read in report.columns] == [("de", 2), ("fr", 2)]


def test_one_dataset_of_one_configuration_has_the_columns_of_before(
    build_steps: Build, source: Path, tmp_path: Path
) -> None:
    build_steps({"uri": f"file://{source}", "config": "de"}).run_all()
    assert "original_config" not in read_pages(tmp_path / "out")[0]
    assert b"configs" not in (tmp_path / "out/deepsynth/manifest.json").read_bytes()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"configs": ["de", "it"]}, ["spec.source.configs: no configuration 'it'; the source has de, fr, notes"]),
        ({"configs": ["*"]}, ["spec.source.configs", "no split in common", "notes: questions", "spec.source.splits"]),
        ({"configs": ["de", "notes"], "splits": ["train"]}, ["spec.source.splits", "'notes' has none", "questions"]),
        ({"configs": ["de", "fr"], "splits": ["dev"]}, ["spec.source.splits: no split 'dev'; there are", "train"]),
    ],
)
def test_configurations_that_cannot_be_read_together_are_refused_with_the_remedy(
    build_steps: Build, source: Path, asked: dict[str, Any], words: list[str]
) -> None:
    message = build_steps({"uri": f"file://{source}", **asked}).fail("plan", 64)
    assert all(word in message for word in words), message


def test_all_configurations_are_read_with_the_splits_that_they_have(build_steps: Build, source: Path) -> None:
    asked = {"uri": f"file://{source}", "configs": ["*"], "splits": ["train", "questions"]}
    report = build_steps(asked).plan().plan
    assert report is not None
    assert [(read.config, read.rows) for read in report.columns] == [("de", 4), ("fr", 3), ("notes", 1)]


def test_a_split_with_a_name_that_cannot_be_read_may_be_left_out(build_steps: Build, source: Path) -> None:
    files = [{"split": "train", "path": "de/train.parquet"}, {"split": "a-b", "path": "de/test.parquet"}]
    card = yaml.safe_dump({"configs": [{"config_name": "default", "data_files": files}]})
    (source / "README.md").write_text(f"---\n{card}---\n")
    build_steps({"uri": f"file://{source}", "splits": ["train"]}).run_all()
