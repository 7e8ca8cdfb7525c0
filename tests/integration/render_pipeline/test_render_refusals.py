"""Documents that cannot be drawn: found by plan, refused or replaced, counted, and never too many without a word."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.render_pipeline.render_steps import LONG, Steps, build_rows, dropped, read_pages, write_jsonl

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
