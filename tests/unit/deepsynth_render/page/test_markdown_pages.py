"""Markdown documents on pages: all of the source is in the texts, and what its marks say can be seen."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from deepsynth_render.page import Page, PageRenderer, block_setting, tables
from deepsynth_render.page.characters import normalise
from deepsynth_render.page.paragraphs import set_content
from deepsynth_render.reporting.dropped import RefusedDocument
from unit.deepsynth_render.page.markdown.sources import sources
from unit.deepsynth_render.page.page_images import (
    build_renderer,
    check_pages,
    decode,
    find_inked_columns,
    measure_ink,
)

ARTICLES = dict(line.split("\t")[::2] for line in Path("tests/fixtures/scripts/article_1.tsv").read_text().splitlines())
"""Language -> article 1 of the Universal Declaration of Human Rights."""
PROSE = "several words that fill a line and the next one, too, without any mark. "


def build_markdown(**changes: object) -> PageRenderer:
    return build_renderer(**{"format": "markdown", "maxPages": 900, **changes})


SMALL = build_markdown()
JUSTIFIED_COLUMNS = build_markdown(size="260x160", columns=2, align="justify", bitDepth=2)
LARGE = build_markdown(size="400x300", fontSizesPx=[16])


def draw(source: str, renderer: PageRenderer = LARGE) -> NDArray[np.uint8]:
    """The only page, on which dark pixels are text."""
    (page,) = renderer.render(source, "key")
    return decode(page.png)


def find_rows(page: NDArray[np.uint8]) -> NDArray[np.int64]:
    """y of each row of pixels with black ink."""
    return np.flatnonzero((page < 100).any(axis=1))


def find_left(source: str) -> int:
    """x of the first black column."""
    return int(np.flatnonzero((draw(source) < 100).any(axis=0))[0])


def find_height(source: str) -> int:
    return int(np.ptp(find_rows(draw(source))))


@settings(max_examples=40)
@given(sources)
def test_the_joined_texts_of_pages_are_the_source_and_no_page_is_blank(source: str) -> None:
    for renderer in (SMALL, JUSTIFIED_COLUMNS):
        try:
            pages = renderer.render(source, "key")
        except RefusedDocument as refusal:
            assert refusal.reason == "EmptyDocument"  # noqa: PT017 - all others fail
        else:
            check_pages(source, pages)


@pytest.mark.parametrize("language", ARTICLES)
def test_every_script_is_drawn_in_every_block(language: str) -> None:
    words = ARTICLES[language].split()[:12]
    text = " ".join(words)
    table = f"| {words[0]} | {text} |\n|-|-|\n| {text} | `{words[-1]}` |"
    source = f"# {text}\n\n- {text}\n  1. **{text}**\n\n> *{text}*\n\n{table}"
    check_pages(source, build_markdown(size="300x260", fontSizesPx=[12]).render(source, "key"))


def test_as_much_is_drawn_on_many_pages_as_on_one() -> None:
    source = "\n\n".join([f"## {PROSE[:30]}", PROSE * 3, f"- {PROSE}\n- {PROSE}\n  - {PROSE}", f"1. **{PROSE}**"] * 3)
    many, one = (build_markdown(size=size).render(source, "key") for size in ("160x100", "160x1600"))
    assert len(many) > 8
    assert len(one) == 1
    assert sum(map(measure_ink, many)) == pytest.approx(measure_ink(one[0]), rel=0.01)


def test_headings_are_larger_by_level() -> None:
    heights = [find_height(f"{'#' * level} Hg") for level in range(1, 7)]
    assert heights == sorted(set(heights), reverse=True)
    assert heights[-1] == pytest.approx(find_height("Hg"), abs=1)


def test_bold_italic_code_links_and_struck_words_all_look_different() -> None:
    marks = ["{}", "**{}**", "*{}*", "***{}***", "`{}`", "[{}]", "~~{}~~"]
    pages = [draw(mark.format("several") + "\n\n[several]: u").tobytes() for mark in marks]
    assert len(set(pages)) == len(marks)


def test_a_list_item_hangs_below_its_text_and_nested_ones_further() -> None:
    page = draw(f"- {PROSE}")
    first, second = (np.flatnonzero((page[top : top + 20] < 100).any(axis=0))[0] for top in (8, 28))
    assert second > first + 8
    rows = draw("- a\n  - a\n    - a")
    lefts = [np.flatnonzero((rows[top : top + 20] < 100).any(axis=0))[0] for top in (8, 28, 48)]
    assert np.diff(lefts).min() > 16


def test_wide_numbers_of_a_list_stay_within_the_column() -> None:
    assert find_left("999999999. a") >= 8


def test_code_keeps_its_blanks() -> None:
    def find_letters(source: str) -> int:
        return int(np.ptp(np.flatnonzero((draw(source) < 100).any(axis=0))))

    assert find_letters("```\na          b\n```") > find_letters("```\na b\n```") + 60
    assert find_letters("`a          b`") > find_letters("`a b`") + 60


def test_a_heading_is_on_the_page_of_the_text_that_follows_it() -> None:
    renderer = build_markdown(size="200x120", fontSizesPx=[10])
    for lines in range(1, 12):
        pages = renderer.render("x\n\n" * lines + "# Title\n\ntext", "key")
        assert any("Title" in page.text and "text" in page.text for page in pages)


def test_a_page_begins_with_the_marks_of_its_first_line() -> None:
    items = "".join(f"- **item {number}** of a long list\n" for number in range(60))
    pages = build_markdown(size="200x120").render(items, "key")
    assert len(pages) > 3
    assert all(page.text.startswith("- **item") for page in pages)
    quote = build_markdown(size="200x120").render("> *" + PROSE * 20 + "*\n\n`code " + PROSE * 20 + "`", "key")
    check_pages("> *" + PROSE * 20 + "*\n\n`code " + PROSE * 20 + "`", quote)


def test_a_table_longer_than_a_page_continues_with_its_next_row() -> None:
    table = "| name | value |\n|-|-|\n" + "".join(f"| row{number} | {number} |\n" for number in range(40))
    pages = build_markdown(size="200x120").render(table, "key")
    assert len(pages) > 2
    check_pages(table, pages)
    assert all(page.text.startswith("| row") for page in pages[1:])
    assert all(is_framed(page) for page in pages)


def is_framed(page: Page) -> bool:
    """Whether there is a line over the whole height of the drawn rows."""
    pixels = decode(page.png) < 200
    return bool((pixels.sum(axis=0) >= np.ptp(np.flatnonzero(pixels.any(axis=1)))).any())


def test_cells_are_wrapped_in_a_table_that_would_be_too_wide() -> None:
    page = LARGE.render(f"| a | b |\n|-|-|\n| {PROSE} | {PROSE} |", "key")[0]
    assert is_framed(page)
    assert find_inked_columns(page)[-1] <= 400 - 8
    assert np.ptp(find_rows(decode(page.png))) > 80


@pytest.mark.parametrize(
    "table",
    [
        "|" + " wide |" * 30 + "\n|" + "-|" * 30 + "\n|" + " cell |" * 30,
        f"| a | b |\n|-|-|\n| {PROSE * 20} | b |",
    ],
    ids=["too many columns", "a row higher than a page"],
)
def test_a_table_whose_frame_does_not_fit_is_drawn_as_source(table: str) -> None:
    pages = LARGE.render(table, "key")
    check_pages(table, pages)
    assert not is_framed(pages[0])
    code = LARGE.render("```\n" + normalise(table) + "\n```", "key")
    assert sum(map(measure_ink, pages)) == pytest.approx(sum(map(measure_ink, code)), rel=0.02)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("|" + "a|" * 5_000 + "\n|" + "-|" * 5_000 + "\n|" + "b|" * 5_000, 1),
        ("- a\n" * 500, 502),
        ("1) " * 500, 502),
    ],
    ids=["columns", "items", "nested lists"],
)
def test_hostile_tables_and_lists_are_shaped_a_bounded_number_of_times(
    monkeypatch: pytest.MonkeyPatch, source: str, expected: int
) -> None:
    calls = 0

    def count(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return set_content(*arguments)

    for module in (block_setting, tables):
        monkeypatch.setattr(module, "set_content", count)
    check_pages(source, LARGE.render(source, "key"))
    assert calls <= expected


def test_lists_and_tables_from_right_to_left_start_at_the_right() -> None:
    hebrew = "\u05e9\u05dc\u05d5\u05dd"
    for source in (f"- {hebrew}", f"| {hebrew} | b |\n|-|-|\n| {hebrew} | c |", f"> {hebrew}"):
        assert find_left(source) > 250, source


def test_columns_run_from_right_to_left_where_most_of_the_text_does() -> None:
    hebrew = "\u05e9\u05dc\u05d5\u05dd " * 12
    (page,) = build_markdown(size="400x200", columns=2, fontSizesPx=[16]).render(f"{hebrew}\n\n- {hebrew}", "key")
    ink = (decode(page.png) < 100).sum(axis=0)
    assert ink[200:].sum() > ink[:200].sum()


def test_only_paragraphs_are_justified() -> None:
    left, justified = (build_markdown(size="200x200", fontSizesPx=[12], align=align) for align in ("left", "justify"))
    for source, differs in ((PROSE, True), (f"# {PROSE}", False), (f"```\n{PROSE}\n```", False)):
        same = left.render(source, "key")[0].png == justified.render(source, "key")[0].png
        assert same != differs


def test_text_without_marks_looks_the_same_in_both_formats() -> None:
    for text in (PROSE * 2, ARTICLES["ar"], ARTICLES["ja"]):
        pages = [
            build_renderer(size="400x300", fontSizesPx=[16], format=name).render(text, "key")
            for name in ("plain", "markdown")
        ]
        assert pages[0][0].png == pages[1][0].png


@pytest.mark.parametrize("source", ["", "\n\n", "***", "> ", "\u00a0\n\n\u2003"])
def test_a_document_without_text_is_refused(source: str) -> None:
    with pytest.raises(RefusedDocument) as caught:
        SMALL.render(source, "key")
    assert caught.value.reason == "EmptyDocument"


def test_a_character_that_no_font_draws_is_refused_in_any_block() -> None:
    with pytest.raises(RefusedDocument) as caught:
        SMALL.render("```\n\U00017000\n```", "key")
    assert caught.value.reason == "UnsupportedScript"


def test_an_entity_is_drawn_as_it_is_written() -> None:
    assert np.array_equal(draw("&#12;&#x12000; &amp;"), draw("\\&#12;\\&#x12000; \\&amp;"))


def test_a_document_with_more_lines_than_the_pages_hold_is_refused_before_it_is_set() -> None:
    with pytest.raises(RefusedDocument, match="too many for 2 pages") as caught:
        build_markdown(maxPages=2).render("```\n" + "x\n" * 5_000 + "```", "key")
    assert caught.value.reason == "TooManyPages"


WORDS = [
    "word",
    "a",
    "well-known",
    "averyveryveryveryverylongword",
    "\u6587\u5b57\u3002",
    "\u0e01\u0e33",
    "\u0915\u094d\u0937",
    "\u05d0\u05d1",
    "\U0001f600",
    "\\",
]
STARTS = ["", "", "- ", "  - ", "1. ", "10. ", "> ", "# ", "### ", "    ", "- > "]
MARKS = ["", "", "", "**", "*", "`", "~~"]


def build_source(random_: random.Random) -> str:
    """Blocks of all kinds, with words of several scripts and looks."""
    words = random_.sample(WORDS, random_.choice([2, 3, 9]))

    def build_line() -> str:
        marks = random_.choices(MARKS, k=random_.choice([0, 1, 5, 20]))
        return random_.choice(STARTS) + " ".join(mark + random_.choice(words) + mark for mark in marks)

    return "".join(build_line() + random_.choice(["\n", "\n", "\n\n", "  \n"]) for _ in range(random_.choice([3, 40])))


@pytest.mark.parametrize("align", ["left", "justify"])
def test_blocks_that_are_set_together_have_the_pages_of_blocks_set_one_by_one(
    monkeypatch: pytest.MonkeyPatch, align: str
) -> None:
    random_ = random.Random(7)
    texts = [build_source(random_) for _ in range(60)]

    def render_all() -> list[object]:
        renderer = build_markdown(align=align, size="200x150")
        return [render_or_refuse(renderer, text) for text in texts]

    together = render_all()
    monkeypatch.setattr(block_setting, "set_together", lambda contents, *_, **__: [None] * len(contents))
    assert render_all() == together
    assert sum(isinstance(found, list) for found in together) > 40


def render_or_refuse(renderer: PageRenderer, text: str) -> object:
    try:
        return renderer.render(text, "")
    except RefusedDocument as refusal:
        return refusal.reason, refusal.message
