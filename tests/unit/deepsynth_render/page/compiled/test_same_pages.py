"""Pages with and without the compiled core: for any text the same bytes, with nothing lost and no blank page."""

import random

import pytest

from deepsynth_render.page import Page, PageRenderer, lines, raster, word_batches, word_table
from deepsynth_render.reporting.dropped import RefusedDocument
from unit.deepsynth_render.page.page_images import PROSE, build_page, check_pages

SETTINGS = [
    {},
    {"size": "240x121", "columns": 2, "align": "justify"},
    {"fontFamilies": ["DejaVu Serif", "DejaVu Sans Mono"], "fontSizesPx": [7, 13], "maxPages": 3, "bitDepth": 2},
]
ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz",
    "AVTWfi.,;:!?'\"()[]0123456789",
    "\u00e0\u00e9\u00ee\u00f6\u00df\u0142\u0151\u03b1\u03c9\u0416\u044f",
    "-\u2010\u2013\u2014\u00ad\u00a0\u2003\u200b\u200d",
    "\u0301\u0323\u0308",
    "\u05d0\u05d1\u0627\u0644\u0915\u094d\u0937\u0e01\u0e33",
    "\u6587\u5b57\u3002\u3042\u30ab\uac00",
    "\u2192\u20ac\U0001f600\u2764\ufe0f\U0001f468",
    "\u1820\u1828\u182d\u1873\u1885\u18a9\u180b\u180d\u180e\u202f",
    "\u0710\u0712\u0715\u071d\u0730\u0741\u070f\U0001e900\U0001e922\U0001e925\U0001e944\U0001e94a",
    "\u0f40\u0f45\u0f0b\u0f0d\u0f74\u0f7c\u0f90\u0fb2\u1b05\u1b13\u1b35\u1b44\ua98f\ua9ba\ua9c0",
    "\x00\x07\ud800\ue000\uffff\U0010ffff",
]


def render(renderer: PageRenderer, text: str) -> list[Page] | str:
    try:
        return renderer.render(text, text[:3])
    except RefusedDocument as refusal:
        return f"{refusal.reason}: {refusal.message}"


def build_text(random_: random.Random) -> str:
    """Words of one alphabet or several, and separators; sometimes long, sometimes odd."""
    alphabets = random_.sample(ALPHABETS, random_.choice([1, 1, 2, 3]))
    letters = "".join(alphabets)
    parts = []
    for _ in range(random_.choice([1, 5, 30])):
        length = random_.choice([0, 1, 3, 6, 12, 60])
        parts.append("".join(random_.choices(letters, k=length)))
        parts.append(random_.choice([" ", " ", " ", "  ", "\n", "\n\n", "\t"]))
    return "".join(parts)


def compare(monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> int:
    """How many texts were drawn and not refused."""
    drawn = 0
    for settings in SETTINGS:
        compiled = PageRenderer(build_page(**settings), "fast", max_glyphs=20_000)
        found = [render(compiled, text) for text in texts]
        with monkeypatch.context() as patch:
            for module in (lines, raster, word_batches, word_table):
                patch.setattr(module, "IS_BUILT", False)
            reference = PageRenderer(build_page(**settings), "fast", max_glyphs=20_000)
            for text, result in zip(texts, found, strict=True):
                assert result == render(reference, text), ascii(text)
                if isinstance(result, list):
                    check_pages(text, result)
        drawn += sum(isinstance(result, list) for result in found)
    return drawn


def test_prose_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compare(monkeypatch, [PROSE, PROSE[::-1], PROSE.replace(" ", "-"), PROSE.replace(" ", "")]) >= 8


def test_random_texts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random_ = random.Random(12)
    assert compare(monkeypatch, [build_text(random_) for _ in range(150)]) > 150


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(100))  # a million pairs of text and settings
def test_ten_thousand_random_texts_are_the_same(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    random_ = random.Random(seed)
    drawn = compare(monkeypatch, [build_text(random_) for _ in range(10_000 // len(SETTINGS) + 1)])
    assert drawn > 1000


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(100))  # a million pairs of text and settings
def test_ten_thousand_random_texts_lose_nothing(seed: int) -> None:
    """By the compiled core alone, which takes a third of the time."""
    random_ = random.Random(1000 + seed)
    renderers = [PageRenderer(build_page(**settings), "fast", max_glyphs=20_000) for settings in SETTINGS]
    drawn = 0
    for text in (build_text(random_) for _ in range(10_000 // len(SETTINGS) + 1)):
        for renderer in renderers:
            pages = render(renderer, text)
            if isinstance(pages, list):
                check_pages(text, pages)
                drawn += 1
    assert drawn > 1000
