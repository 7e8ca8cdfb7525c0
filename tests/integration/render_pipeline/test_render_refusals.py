"""Documents that cannot be drawn: found by plan, refused or replaced, counted, and never too many without a word."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deepsynth_api.errors import DataError
from deepsynth_render.documents.dropped_rows import DroppedRow, read_dropped_rows
from deepsynth_store import open_dataset
from deepsynth_train.data.files.splits import list_split_files
from integration.render_pipeline.render_steps import (
    LONG,
    Steps,
    build_rows,
    dropped,
    read_pages,
    write_jsonl,
    write_parquet,
)

Build = Callable[..., Steps]
ICON = "\ue000"


def write_source(folder: Path, good: int, bad: int) -> Path:
    """Rows whose texts have an icon of a private font, and others."""
    rows = [{**row, "text": f"{row['text']} {ICON}"} for row in build_rows(bad, 1000)]
    write_jsonl(folder / "source/train.jsonl", [*build_rows(good), *rows])
    return folder / "source"


def test_refusals_are_found_before_anything_is_rendered(build_steps: Build, tmp_path: Path) -> None:
    steps = build_steps(write_source(tmp_path, good=6, bad=4))
    report = steps.plan()
    assert dropped(report) == {"UnsupportedScript": 4}
    assert report.plan is not None
    assert report.plan.undrawable is not None
    assert [(entry.character, entry.documents) for entry in report.plan.undrawable.characters] == [
        ("U+E000 (no name)", 4)
    ]
    (rendered,) = steps.render_all()
    assert dropped(rendered) == {}
    steps.succeed("publish")
    manifest = json.loads((tmp_path / "out/deepsynth/manifest.json").read_bytes())
    assert manifest["undrawable"]["documents"] == 4
    card = (tmp_path / "out/README.md").read_text()
    assert "| U+E000 (no name) | 4 |" in card
    assert "By script: Zzzz (4 documents)." in card


def write_dropped(folder: Path) -> Path:
    """Of each split, row 2 is a duplicate, row 5 too short, and row 7 too long for a page, which only render sees."""
    rows = build_rows(12)
    rows[2] = rows[1]
    rows[5] = {"text": "a", "summary": "b"}
    rows[7] = {"text": LONG * 40, "summary": "A fox that runs on and on."}
    others = [{**row, "text": f"{row['text']} again"} for row in rows]
    write_jsonl(folder / "source/train.jsonl", rows)
    write_parquet(folder / "source/validation.parquet", others, group_rows=4)
    return folder / "source"


def test_dropped_rows_are_listed_with_their_places_and_no_text(build_steps: Build, tmp_path: Path) -> None:
    page = {"size": "160x120", "fontSizesPx": [8], "marginPx": 8, "maxPages": 1}
    source = write_dropped(tmp_path)
    reports = [build_steps(source, output, page=page, rowsPerShard=5).run_all().publish for output in ("out", "again")]
    report = reports[0]
    assert report is not None
    assert report.dropped_path == "deepsynth/dropped.parquet"
    path = tmp_path / "out" / report.dropped_path
    rows = list(read_dropped_rows(path))
    assert rows == [
        DroppedRow("validation", 2, "validation.parquet", 0, 2, "Duplicate"),
        DroppedRow("validation", 5, "validation.parquet", 1, 1, "TextTooShort"),
        DroppedRow("train", 2, "train.jsonl", None, 2, "Duplicate"),
        DroppedRow("train", 5, "train.jsonl", None, 5, "TextTooShort"),
        DroppedRow("validation", 7, "validation.parquet", 1, 3, "TooManyPages"),
        DroppedRow("train", 7, "train.jsonl", None, 7, "TooManyPages"),
    ]
    assert sum(entry.rows for entry in report.dropped) == len(rows)
    assert path.read_bytes() == (tmp_path / "again" / report.dropped_path).read_bytes()
    assert b"fox" not in path.read_bytes()
    assert "`deepsynth/dropped.parquet` lists them" in (tmp_path / "out/README.md").read_text()
    folder = open_dataset(f"file://{tmp_path}/out", None, field="uri")
    with pytest.raises(DataError, match="its splits are train, validation"):
        list_split_files(folder, "dropped", "trainSplit")


def test_a_damaged_list_of_dropped_rows_is_made_again(build_steps: Build, tmp_path: Path) -> None:
    page = {"size": "160x120", "fontSizesPx": [8], "marginPx": 8, "maxPages": 1}
    steps = build_steps(write_dropped(tmp_path), page=page)
    steps.plan()
    steps.render_all()
    (listed, *_) = (tmp_path / "out").rglob("dropped/00000.parquet")
    listed.write_bytes(b"damaged")

    assert steps.run("publish") == 65
    assert steps.report is not None
    assert steps.report.failure is not None
    assert "1 damaged shard staged" in steps.report.failure.message
    steps.render_all()
    assert steps.succeed("publish").publish is not None


def test_a_damaged_list_of_the_plan_is_planned_again(build_steps: Build, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "source/train.jsonl", [*build_rows(3), *build_rows(1)])
    steps = build_steps(tmp_path / "source")
    steps.plan()
    steps.render_all()
    (listed,) = (tmp_path / "out").rglob("plan/dropped.parquet")
    listed.write_bytes(b"damaged")
    assert steps.run("publish") == 65
    assert steps.report is not None
    assert steps.report.failure is not None
    assert "re-apply the resource to plan again" in steps.report.failure.message
    steps.plan()
    assert steps.succeed("publish").publish is not None


def test_the_list_is_that_of_the_dataset_that_is_there(build_steps: Build, tmp_path: Path) -> None:
    for expected in (0, 1, 0):
        write_jsonl(tmp_path / "source/train.jsonl", [*build_rows(3), *build_rows(expected)])
        report = build_steps(tmp_path / "source").run_all().publish
        assert report is not None
        assert len(list(read_dropped_rows(tmp_path / "out/deepsynth/dropped.parquet"))) == expected
        assert report.dropped_path == ("deepsynth/dropped.parquet" if expected else "")
        manifest = json.loads((tmp_path / "out/deepsynth/manifest.json").read_bytes())
        content = (tmp_path / "out/deepsynth/dropped.parquet").read_bytes()
        assert manifest["droppedSha256"] == hashlib.sha256(content).hexdigest()


def test_an_undrawable_character_is_replaced_and_counted(build_steps: Build, tmp_path: Path) -> None:
    steps = build_steps(write_source(tmp_path, good=1, bad=4), filters={"undrawable": "replace"})
    assert dropped(steps.plan()) == {}
    (rendered,) = steps.render_all()
    assert rendered.render is not None
    assert (rendered.render.documents, rendered.render.replaced_characters) == (5, 4)
    published = steps.succeed("publish").publish
    assert published is not None
    assert (published.rows, published.replaced_characters) == (5, 4)
    texts = "".join(page["text"] for page in read_pages(tmp_path / "out"))
    assert (texts.count("\ufffd"), texts.count(ICON)) == (4, 0)
    assert "4 of them are drawn as U+FFFD." in (tmp_path / "out/README.md").read_text()


def test_lone_surrogates_are_replaced_and_counted(build_steps: Build, tmp_path: Path) -> None:
    rows = [
        {**row, "text": f"{row['text']} \ud800{ICON}", "summary": f"{row['summary']} \udfff"} for row in build_rows(2)
    ]
    write_jsonl(tmp_path / "source/train.jsonl", rows)
    steps = build_steps(tmp_path / "source", filters={"undrawable": "replace"})
    assert dropped(steps.plan()) == {}
    (rendered,) = steps.render_all()
    assert rendered.render is not None
    assert (rendered.render.documents, rendered.render.replaced_characters) == (2, 6)
    steps.succeed("publish")
    assert all(page["text"].endswith(" \ufffd\ufffd") for page in read_pages(tmp_path / "out"))


@pytest.mark.parametrize(
    ("good", "bad", "limit", "code"), [(5, 5, None, 0), (4, 5, None, 65), (9, 1, 9, 65), (1, 9, 90, 0)]
)
def test_too_many_refused_documents_end_the_plan(  # noqa: PLR0917
    build_steps: Build, tmp_path: Path, good: int, bad: int, limit: int | None, code: int
) -> None:
    settings = {} if limit is None else {"maxRefusedPercent": limit}
    steps = build_steps(write_source(tmp_path, good, bad), **settings)
    if code == 0:
        steps.plan()
        return
    message = steps.fail("plan", code)
    share = f"{100 * bad / (good + bad):.1f} % of {good + bad} documents cannot be drawn ({bad} UnsupportedScript)"
    assert share in message
    remedy = "set spec.filters.undrawable to replace"
    assert f"characters that no font has: U+E000 (no name) ({bad}); {remedy}" in message
    assert steps.report is not None
    assert steps.report.failure is not None
    assert steps.report.failure.reason == "TooManyRowsRefused"


@pytest.mark.parametrize("field", ["text", "summary"])
@pytest.mark.parametrize(("missing", "limit", "code"), [(18, None, 0), (19, None, 65), (18, 0, 0), (19, 100, 0)])
def test_a_column_that_is_empty_in_nearly_all_rows_ends_the_plan(  # noqa: PLR0917
    build_steps: Build, tmp_path: Path, field: str, missing: int, limit: int | None, code: int
) -> None:
    rows = [{**row, field: None} if number < missing else row for number, row in enumerate(build_rows(20))]
    write_jsonl(tmp_path / "source/train.jsonl", rows)
    steps = build_steps(tmp_path / "source", **({} if limit is None else {"maxRefusedPercent": limit}))
    if code == 0:
        assert dropped(steps.plan()) == {f"Missing{field.title()}": missing}
        return
    message = steps.fail("plan", code)
    assert f"spec.source.columns.{field}: {missing} of 20 rows have nothing in the column '{field}'" in message
    assert "name the column of the" in message
    assert steps.report is not None
    assert steps.report.failure is not None
    assert steps.report.failure.reason == "TooManyRowsRefused"


def test_documents_that_turn_out_too_long_are_counted_by_publish(build_steps: Build, tmp_path: Path) -> None:
    rows = [*build_rows(2), *({**row, "text": row["text"] * 40} for row in build_rows(3, 100))]
    write_jsonl(tmp_path / "source/train.jsonl", rows)
    page = {"size": "160x120", "fontSizesPx": [8], "marginPx": 8, "maxPages": 1}
    steps = build_steps(tmp_path / "source", page=page)
    steps.plan()
    steps.render_all()
    message = steps.fail("publish", 65)
    assert "60.0 % of 5 documents cannot be drawn (3 TooManyPages)" in message
    assert "raise spec.page.maxPages, or raise spec.maxRefusedPercent" in message
    steps.settings["maxRefusedPercent"] = 60  # not a part of the plan, so that what is rendered is used
    steps.succeed("publish")


@pytest.mark.parametrize("whitespace", ["keep", "collapse", "monospace"])
def test_runs_of_blanks_are_kept_collapsed_or_drawn_to_be_counted(
    build_steps: Build, tmp_path: Path, whitespace: str
) -> None:
    table = "".join(f"  -{letter}    {LONG}\n" for letter in "abc")
    write_jsonl(tmp_path / "source/train.jsonl", [{"text": table, "summary": "A table of options."}])
    page = {"size": "512", "whitespace": whitespace}
    build_steps(tmp_path / "source", page=page).run_all()
    text = "".join(page["text"] for page in read_pages(tmp_path / "out"))
    kept = table.replace(" \n", "\n").rstrip("\n")
    assert text == (
        "\n".join(" ".join(line.split()) for line in kept.split("\n")) if whitespace == "collapse" else kept
    )


def test_with_monospace_only_aligned_documents_look_different(build_steps: Build, tmp_path: Path) -> None:
    aligned = {"text": f"name   value\n{LONG}", "summary": "An aligned document."}
    write_jsonl(tmp_path / "source/train.jsonl", [*build_rows(1), aligned])
    images: dict[str, list[bytes]] = {}
    for whitespace in ("keep", "monospace"):
        build_steps(tmp_path / "source", whitespace, page={"size": "512", "whitespace": whitespace}).run_all()
        images[whitespace] = [page["image"]["bytes"] for page in read_pages(tmp_path / whitespace)]
    assert images["keep"][0] == images["monospace"][0]
    assert images["keep"][1] != images["monospace"][1]
