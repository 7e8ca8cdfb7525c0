"""Defects of an earlier system of this kind. Each has a test here or in the tests of pages and of the store."""

from collections.abc import Callable
from pathlib import Path

from integration.render_pipeline.render_steps import (
    LONG,
    Steps,
    build_rows,
    dropped,
    read_documents,
    read_pages,
    write_jsonl,
    write_parquet,
)

Build = Callable[..., Steps]


def test_of_equal_texts_in_two_splits_only_the_one_in_train_is_dropped(build_steps: Build, tmp_path: Path) -> None:
    """Rows are distinguished by content, not by number: row 0 of train and row 0 of validation are two rows."""
    write_parquet(tmp_path / "source/train.parquet", build_rows(10))
    write_parquet(tmp_path / "source/validation.parquet", [*build_rows(2, 3), *build_rows(5, 100)])
    write_parquet(tmp_path / "source/test.parquet", [*build_rows(1, 100), *build_rows(3, 200)])
    steps = build_steps(tmp_path / "source")
    report = steps.run_all()
    counts = {split: len(read_documents(tmp_path / "out", split)) for split in ["test", "validation", "train"]}
    assert counts == {"test": 4, "validation": 6, "train": 8}
    assert dropped(report) == {"Duplicate": 3}
    texts = list(read_documents(tmp_path / "out").values())
    assert len(texts) == len(set(texts))


def test_equal_texts_are_kept_when_deduplication_is_off(build_steps: Build, tmp_path: Path) -> None:
    write_parquet(tmp_path / "source/train.parquet", build_rows(3) * 2)
    build_steps(tmp_path / "source", filters={"deduplicate": False}).run_all()
    assert len(read_documents(tmp_path / "out")) == 6


def test_long_summaries_such_as_those_of_bills_are_kept_whole(build_steps: Build, tmp_path: Path) -> None:
    summary = "This Act amends the Code. " * 200
    write_jsonl(tmp_path / "source/train.jsonl", [{"text": LONG, "summary": summary}])
    build_steps(tmp_path / "source").run_all()
    assert {row["summary"] for row in read_pages(tmp_path / "out")} == {summary.rstrip()}


def test_a_long_document_gets_many_pages_and_is_not_cut(build_steps: Build, tmp_path: Path) -> None:
    text = "\n".join(f"{LONG}{number}." for number in range(700))
    write_jsonl(tmp_path / "source/train.jsonl", [{"text": text, "summary": "A long document."}])
    build_steps(tmp_path / "source", page={"size": "512", "maxPages": 200}).run_all()
    assert read_documents(tmp_path / "out") == {"train-0": text}
    assert len(read_pages(tmp_path / "out")) > 50


def test_a_document_with_too_many_pages_is_counted_and_not_cut(build_steps: Build, tmp_path: Path) -> None:
    rows = [{"text": LONG * 100, "summary": "Too long for a page."}, *build_rows(1)]
    write_jsonl(tmp_path / "source/train.jsonl", rows)
    steps = build_steps(tmp_path / "source", page={"size": "512", "maxPages": 1})
    assert dropped(steps.run_all()) == {"TooManyPages": 1}
    assert list(read_documents(tmp_path / "out")) == ["train-1"]


def test_accents_greek_and_cyrillic_are_drawn(build_steps: Build, tmp_path: Path) -> None:
    text = "D\u00e9j\u00e0 vu, ma\u00f1ana, Stra\u00dfe, \u20ac 5 \u2013 \u03b1\u03b2\u03b3, \u043c\u0438\u0440. " * 3
    write_jsonl(tmp_path / "source/train.jsonl", [{"text": text, "summary": "Several scripts."}])
    report = build_steps(tmp_path / "source", page={"size": "512"}).run_all()
    assert dropped(report) == {}
    assert read_documents(tmp_path / "out") == {"train-0": text.rstrip()}


def test_a_restarted_process_uses_the_same_shard_names(build_steps: Build, tmp_path: Path) -> None:
    """A restarted process must not reuse the name of another shard."""
    write_parquet(tmp_path / "source/train.parquet", build_rows(30), group_rows=10)
    steps = build_steps(tmp_path / "source", rowsPerShard=10)
    steps.plan()
    steps.succeed("render", 2)
    steps.succeed("render", 0)
    steps.plan()
    steps.render_all()
    steps.succeed("publish")
    assert sorted(read_documents(tmp_path / "out")) == sorted(f"train-{index}" for index in range(30))


def test_another_generation_into_the_same_folder_replaces_the_first_one(build_steps: Build, tmp_path: Path) -> None:
    write_parquet(tmp_path / "source/train.parquet", build_rows(30), group_rows=10)
    build_steps(tmp_path / "source", rowsPerShard=10).run_all()
    steps = build_steps(tmp_path / "source", rowsPerShard=30)
    steps.run_all()
    assert [path.name for path in (tmp_path / "out/data").iterdir()] == ["train-00000.parquet"]
    assert len(read_documents(tmp_path / "out")) == 30
