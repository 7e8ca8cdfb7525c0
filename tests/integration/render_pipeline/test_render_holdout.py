"""What is on which side: a split for validation where there is none, and no near-copies of test in train."""

from collections.abc import Callable
from pathlib import Path

import pytest

from integration.render_pipeline.render_steps import (
    Steps,
    build_rows,
    dropped,
    read_documents,
    read_pages,
    write_jsonl,
    write_parquet,
)

Build = Callable[..., Steps]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
@pytest.mark.parametrize("rows_per_shard", [7, 1000])
def test_documents_are_held_out_by_their_texts(
    build_steps: Build, tmp_path: Path, kind: str, rows_per_shard: int
) -> None:
    rows = build_rows(100)
    if kind == "parquet":
        write_parquet(tmp_path / "source/train.parquet", rows, group_rows=6)
    else:
        write_jsonl(tmp_path / "source/train.jsonl", rows)
    source = {"uri": f"file://{tmp_path}/source", "holdoutPercent": 20}
    steps = build_steps(source, rowsPerShard=rows_per_shard)
    report = steps.plan().plan
    assert report is not None
    held = {split.name: split.rows for split in report.splits}
    assert held["train"] + held["validation"] == 100
    assert 8 <= held["validation"] <= 32
    steps.render_all()
    steps.succeed("publish")
    train, validation = (read_documents(tmp_path / "out", split) for split in ("train", "validation"))
    assert (len(train), len(validation)) == (held["train"], held["validation"])
    assert sorted([*train.values(), *validation.values()]) == sorted(row["text"] for row in rows)
    for page in read_pages(tmp_path / "out", "validation"):
        assert page["document_id"] == f"validation-{page['original_index']}"
        assert (page["original_split"], page["summary"]) == ("train", rows[page["original_index"]]["summary"])


def test_a_document_stays_on_its_side_when_others_are_added(build_steps: Build, tmp_path: Path) -> None:
    held = []
    for count in (60, 90):
        write_jsonl(tmp_path / f"source-{count}/train.jsonl", build_rows(count))
        source = {"uri": f"file://{tmp_path}/source-{count}", "holdoutPercent": 20}
        build_steps(source, f"out-{count}").run_all()
        held.append(set(read_documents(tmp_path / f"out-{count}", "validation").values()))
    assert held[0]
    assert held[0] < held[1]


@pytest.mark.parametrize("names", [["train", "test"], ["validation"]])
def test_a_source_that_needs_no_holdout_is_refused(build_steps: Build, tmp_path: Path, names: list[str]) -> None:
    for name in names:
        write_jsonl(tmp_path / f"source/{name}.jsonl", build_rows(3))
    message = build_steps({"uri": f"file://{tmp_path}/source", "holdoutPercent": 5}).fail("plan", 64)
    assert "spec.source.holdoutPercent: must not be set, because the source has the splits" in message


def test_near_copies_of_a_test_document_are_not_in_train(build_steps: Build, tmp_path: Path) -> None:
    texts = [" ".join(f"word{number}of{row}" for number in range(100)) for row in range(3)]
    rows = [{"text": text, "summary": f"The summary {number}."} for number, text in enumerate(texts)]
    write_jsonl(tmp_path / "source/test.jsonl", rows[:1])
    copies = [{**rows[0], "text": f"{texts[0]} An added end."}, {**rows[0], "text": f"Begin: {texts[0]}"}]
    write_jsonl(tmp_path / "source/train.jsonl", [copies[0], rows[1], copies[1], rows[2]])
    steps = build_steps(tmp_path / "source", filters={"maxSimilarityPercent": 80})
    report = steps.plan()
    assert dropped(report) == {"NearDuplicate": 2}
    assert report.plan is not None
    assert [(split.name, split.rows) for split in report.plan.splits] == [("test", 1), ("train", 2)]
    assert dropped(build_steps(tmp_path / "source").plan()) == {}
