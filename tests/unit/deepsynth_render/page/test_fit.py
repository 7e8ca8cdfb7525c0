"""spec.page.fit on whole documents: all text stays, in fewer, fuller, even or lower pages."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsynth_render.page import Page, PageRenderer, PageStyle
from deepsynth_render.page.density import estimate_image_tokens, estimate_text_tokens
from deepsynth_render.reporting.dropped import RefusedDocument
from unit.deepsynth_render.page.page_images import PROSE, build_renderer, check_pages, decode

ARTICLES = [line.split("\t")[2] for line in Path("tests/fixtures/scripts/article_1.tsv").read_text().splitlines()]
MODES: list[dict[str, object]] = [
    {"mode": "fixed"},
    {"mode": "shrink", "maxShrinkPercent": 30},
    {"mode": "balance"},
    {"mode": "compression", "textTokensPerImageToken": "6"},
]
FITS = [{**mode, **crop} for mode, crop in product(MODES, ({}, {"cropToMultiplePx": 14}))]
MARKDOWN = "# Title\n\n- an item that is long enough for two lines\n\n| a | b |\n|-|-|\n| c | d |\n\n> quote\n\n"


def build(fit: dict[str, object], **changes: object) -> PageRenderer:
    return build_renderer(**{"fit": fit, "size": "200x160", "fontSizesPx": [14], "maxPages": 900, **changes})


def measure_compression(text: str, pages: list[Page]) -> float:
    return estimate_text_tokens(text) / sum(estimate_image_tokens(page.width, page.height) for page in pages)


@pytest.mark.parametrize("fit", FITS, ids=str)
@pytest.mark.parametrize(
    "layout", [{"format": "markdown"}, {"columns": 2, "size": "300x160", "align": "justify"}], ids=str
)
def test_every_script_is_drawn_whole_in_every_fit(fit: dict[str, object], layout: dict[str, object]) -> None:
    renderer = build(fit, **layout)
    for text in ARTICLES[::3]:
        check_pages(MARKDOWN + text, renderer.render(MARKDOWN + text, "key"))


@settings(max_examples=30)
@given(st.integers(1, 150), st.sampled_from(["plain", "markdown"]))
def test_shrinking_saves_pages_or_changes_nothing(words: int, name: str) -> None:
    text = " ".join(PROSE.split()[:words]) + "\n\n" + MARKDOWN
    fixed = build({"mode": "fixed"}, format=name).render(text, "key")
    shrunk = build({"mode": "shrink", "maxShrinkPercent": 30}, format=name).render(text, "key")
    size = shrunk[0].style.font_size_px
    assert 14 * 0.7 <= size <= 14
    if size < 14:
        assert len(shrunk) < len(fixed)
    else:
        assert [page.png for page in shrunk] == [page.png for page in fixed]


@settings(max_examples=30)
@given(st.integers(1, 300), st.sampled_from(["plain", "markdown"]), st.sampled_from([1, 2]))
def test_balanced_pages_are_as_many_and_equally_full(words: int, name: str, columns: int) -> None:
    text = " ".join((PROSE * 2).split()[:words])
    layout = {"format": name, "columns": columns, "size": "300x160"}
    fixed, even = (build({"mode": mode}, **layout).render(text, "key") for mode in ("fixed", "balance"))
    assert len(even) == len(fixed)
    check_pages(text, even)
    bottoms = [np.flatnonzero((decode(page.png) < 255).any(axis=1))[-1] for page in even]
    # What is missing on the last page is less than a line for each column of the others.
    assert bottoms[-1] >= bottoms[0] - 18 * len(even) * columns
    if len(even) > 1:
        assert bottoms[0] <= np.flatnonzero((decode(fixed[0].png) < 255).any(axis=1))[-1]


@pytest.mark.parametrize("name", ["plain", "markdown"])
def test_a_cropped_page_is_the_upper_part_of_the_whole_one(name: str) -> None:
    text = PROSE[:90] + "\n\n" + MARKDOWN.removesuffix("> quote\n\n")
    whole = build({"mode": "fixed"}, format=name).render(text, "key")
    cropped = build({"mode": "fixed", "cropToMultiplePx": 16}, format=name).render(text, "key")
    assert len(cropped) == len(whole)
    assert any(page.height < 160 for page in cropped)
    for low, page in zip(cropped, whole, strict=True):
        assert low.height % 16 == 0 or low.height == page.height
        pixels = decode(low.png)
        assert pixels.shape == (low.height, low.width)
        assert np.array_equal(decode(page.png)[: low.height], pixels)
        assert (decode(page.png)[low.height - 8 :] == 255).all()


@settings(max_examples=30)
@given(st.integers(60, 400), st.floats(0.5, 12), st.booleans())
def test_compression_comes_nearer_to_the_target_than_the_size_of_the_spec(
    words: int, target: float, crop: bool
) -> None:
    text = " ".join((PROSE * 4).split()[:words])
    extra: dict[str, object] = {"cropToMultiplePx": 64} if crop else {}
    layout = {"size": "256x256", "fontSizesPx": [24]}
    fixed = build({"mode": "fixed", **extra}, **layout).render(text, "key")
    fit = {"mode": "compression", "textTokensPerImageToken": f"{target:.2f}", **extra}
    found = build(fit, **layout).render(text, "key")
    check_pages(text, found)
    assert 6 <= found[0].style.font_size_px <= 24

    def measure_distance(pages: list[Page]) -> float:
        return abs(float(np.log(measure_compression(text, pages) / target)))

    assert measure_distance(found) <= measure_distance(fixed) + 0.15  # sizes are tried without shaping for them


def test_a_short_document_is_not_shrunk_beyond_what_its_pages_need() -> None:
    renderer = build({"mode": "compression", "textTokensPerImageToken": "50"}, size="512", fontSizesPx=[18])
    assert renderer.render("a few words", "key")[0].style.font_size_px == 18


def test_each_size_of_each_family_has_an_index_of_its_own() -> None:
    renderer = build(
        {"mode": "compression", "textTokensPerImageToken": "8"},
        fontFamilies=["DejaVu Sans", "DejaVu Serif"],
        fontSizesPx=[12, 20],
    )
    found: dict[int, PageStyle] = {}
    for words in range(10, 200, 10):
        for key in range(6):
            style = renderer.render(" ".join(PROSE.split()[:words]), str(key))[0].style
            base, less = style.index % 4, style.index // 4
            assert (style.font_family, style.font_size_px + less) == (
                ["DejaVu Sans", "DejaVu Serif"][base // 2],
                [12, 20][base % 2],
            )
            assert found.setdefault(style.index, style) == style
    assert len(found) > 4


def test_a_document_that_fits_only_in_smaller_type_is_drawn() -> None:
    text = PROSE[:1000]
    with pytest.raises(RefusedDocument):
        build({"mode": "fixed"}, maxPages=3).render(text, "key")
    check_pages(text, build({"mode": "shrink", "maxShrinkPercent": 50}, maxPages=3).render(text, "key"))
