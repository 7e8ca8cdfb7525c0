"""What is drawn: every character its own shape, inside the margins, the same bytes each time."""

import hashlib
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_render.page import PageRenderer, RefusedDocument
from deepsynth_render.page import renderer as renderer_module
from deepsynth_render.page.fonts import FAMILIES, gather_digests, load_font
from deepsynth_render.page.geometry import parse_size
from deepsynth_render.page.words import WordCache
from unit.deepsynth_render.page.page_images import build_renderer, decode, find_inked_columns

PROSE = "The quick brown fox \u2014 na\u00efve, 25 \u20ac \u2014 jumps over the lazy dog. " * 30
ACCENTS = "e\u00e9\u00e8\u00ea\u00ebn\u00f1u\u00fco\u00f6\u00df\u0153\u00c5\u0141\u20ac\u00a3"
PUNCTUATION = "-\u2013\u2014\u00ab\u00bb\u2019'\u2026\u2192\u2264"
GREEK_AND_CYRILLIC = "\u03b1\u03ac\u0436\u0451\u0439\u0438"
LARGE = {"size": "240x120", "fontSizesPx": [20]}


@pytest.mark.parametrize("family", FAMILIES)
def test_accents_the_euro_and_dashes_are_drawn_each_with_a_shape_of_its_own(family: str) -> None:
    renderer = build_renderer(**LARGE, fontFamilies=[family])
    characters = ACCENTS + PUNCTUATION + GREEK_AND_CYRILLIC
    if family == "DejaVu Sans Mono":
        characters = characters.replace("\u2014", "")  # that font draws both dashes as wide as its cell
    drawn = {decode(renderer.render(character, "key")[0].png).tobytes() for character in characters}
    assert len(drawn) == len(characters)


def test_a_combining_accent_stands_over_its_letter_and_takes_no_room() -> None:
    renderer = build_renderer(**LARGE)
    bare, marked = (decode(renderer.render(text, "key")[0].png) for text in ("xx", "x\u0323x"))
    assert (marked <= bare).all()
    assert (marked < bare).any()


def test_letters_are_kerned() -> None:
    renderer = build_renderer(**LARGE)
    kerned, apart = (find_inked_columns(renderer.render(text, "key")[0]) for text in ("AV", "A\u2009V"))
    assert kerned[-1] < apart[-1]
    single = sum(np.ptp(find_inked_columns(renderer.render(letter, "key")[0])) for letter in "AV")
    assert np.ptp(kerned) < single


def test_letters_stand_where_the_font_puts_them_to_a_quarter_of_a_pixel() -> None:
    ink = 255.0 - decode(build_renderer(**LARGE).render("l" * 30, "key")[0].png)
    profile = ink.sum(axis=0)
    inked = np.flatnonzero(profile)
    letters = np.split(inked, np.flatnonzero(np.diff(inked) > 1) + 1)
    centres = [np.average(letter, weights=profile[letter]) for letter in letters]
    even = np.linspace(centres[0], centres[-1], 30)
    assert np.abs(centres - even).max() < 0.26


def test_a_character_that_the_font_lacks_is_drawn_by_another() -> None:
    assert ord("\U0001f600") not in load_font("DejaVu Sans Mono").codepoints
    bare, smiling = (
        find_inked_columns(build_renderer(fontFamilies=["DejaVu Sans Mono"]).render(text, "key")[0])
        for text in ("a", "a\U0001f600")
    )
    assert smiling[-1] > bare[-1] + 4


def test_text_stays_between_the_margins_and_out_of_the_gutter() -> None:
    for page in build_renderer(size="300x120", columns=2, marginPx=10).render(PROSE, "key"):
        columns = find_inked_columns(page)
        assert columns[0] >= 10 - 1
        assert columns[-1] <= 290
        assert not set(columns) & set(range(150 - 6, 150 + 6))


def test_justified_lines_end_flush_except_the_last_of_a_paragraph() -> None:
    renderer = build_renderer(size="200x100", lineHeight="8", align="justify")
    rights = [find_inked_columns(page)[-1] for page in renderer.render(PROSE.strip(), "key")]
    assert all(200 - 8 - 2 <= right <= 200 - 8 for right in rights[:-1])
    assert rights[-1] < 180


def test_a_line_pitch_is_the_font_size_times_the_line_height() -> None:
    page = build_renderer(fontSizesPx=[10], lineHeight="1.5").render("x\nx\nx", "key")[0]
    inked = np.flatnonzero((decode(page.png) < 255).any(axis=1))
    letter = len(inked) // 3
    assert (inked[letter:] - inked[:-letter] == 15).all()


@pytest.mark.parametrize("text", ["", " \n\t ", "\x00\x07\u200b", "\u00a0\n\u2003"])
def test_a_document_with_nothing_to_draw_is_refused(text: str) -> None:
    with pytest.raises(RefusedDocument) as caught:
        build_renderer().render(text, "key")
    assert caught.value.reason == "EmptyDocument"


def test_a_character_that_no_font_holds_is_refused_by_name_instead_of_drawn_as_a_box() -> None:
    with pytest.raises(RefusedDocument, match="IDEOGRAPHIC COMMA") as caught:
        build_renderer().render("fine until\u3001here", "key")
    assert caught.value.reason == "MissingGlyph"
    assert build_renderer().render("fine again", "key"), "the refusal leaves the renderer usable"


def test_a_document_of_too_many_pages_is_refused_not_cut() -> None:
    renderer = build_renderer(maxPages=2)
    with pytest.raises(RefusedDocument, match=r"needs \d+ pages, spec.page.maxPages is 2") as caught:
        renderer.render(PROSE, "key")
    assert caught.value.reason == "TooManyPages"


def test_an_endless_word_is_refused_for_the_pages_it_would_need() -> None:
    with pytest.raises(RefusedDocument, match="needs 40 pages") as caught:
        build_renderer(size="512", maxPages=39).render("x" * 200_000, "key")
    assert caught.value.reason == "TooManyPages"


def test_ink_beyond_the_edge_of_the_page_is_refused_not_clipped() -> None:
    tall = "\u1ea4"  # a circumflex and an acute above a capital
    assert build_renderer(**LARGE, lineHeight="1").render(tall, "key")
    with pytest.raises(RefusedDocument, match="marginPx") as caught:
        build_renderer(**LARGE | {"marginPx": 0, "lineHeight": "1"}).render(tall, "key")
    assert caught.value.reason == "Overflow"


def test_a_cluster_wider_than_a_column_is_refused() -> None:
    with pytest.raises(RefusedDocument, match="wider than a column") as caught:
        WordCache(load_font("DejaVu Sans"), size_px=20, column_width=10, most_glyphs=100).find_pieces("W")
    assert caught.value.reason == "Overflow"


@pytest.mark.parametrize("settings", [{"marginPx": 60}, {"lineHeight": "0.5"}, {"fontSizesPx": [96]}])
def test_a_page_without_room_for_text_is_a_configuration_error(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=r"spec\.page: no text fits 160x120 px"):
        build_renderer(**settings)


@pytest.mark.parametrize(
    ("size", "pixels"),
    [("512", (512, 512)), ("a4@72", (595, 842)), ("a4@96", (794, 1123)), ("640x480", (640, 480))],
)
def test_pages_have_the_pixels_that_the_size_says(size: str, pixels: tuple[int, int]) -> None:
    assert parse_size(size) == pixels
    page = build_renderer(size=size).render("text", "key")[0]
    assert decode(page.png).shape == pixels[::-1]


def test_several_fonts_and_sizes_are_dealt_to_documents_by_seed_and_key() -> None:
    def render(renderer: PageRenderer) -> list[bytes]:
        return [renderer.render("the same text", str(key))[0].png for key in range(40)]

    variety = {"fontFamilies": ["DejaVu Sans", "DejaVu Serif"], "fontSizesPx": [8, 10]}
    drawn = render(build_renderer(**variety))
    assert len(set(drawn)) == 4
    assert drawn == render(build_renderer(**variety))
    assert drawn != render(build_renderer(**variety, seed=1))


PROGRAM = """
import hashlib, sys
from unit.deepsynth_render.page.page_images import build_renderer
pages = build_renderer(align="justify").render(sys.stdin.read(), "key")
print(hashlib.sha256(b"".join(page.png for page in pages)).hexdigest())
"""


def test_other_processes_and_locales_draw_the_same_bytes() -> None:
    environment = {
        **os.environ,
        "LC_ALL": "tr_TR.UTF-8",
        "LANG": "tr_TR.UTF-8",
        "PYTHONHASHSEED": "7",
        "PYTHONUTF8": "1",
    }
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    other = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=PROSE, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    renderer = build_renderer(align="justify")
    renderer.render("other words before, which the caches keep", "key")
    pages = renderer.render(PROSE, "key")
    assert hashlib.sha256(b"".join(page.png for page in pages)).hexdigest() == other


def test_a_full_word_cache_starts_anew_and_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [page.png for page in build_renderer().render(PROSE, "key")]
    monkeypatch.setattr(renderer_module, "MOST_GLYPHS", 10)
    forgetful = build_renderer()
    for _ in range(3):
        assert [page.png for page in forgetful.render(PROSE, "key")] == expected


def test_a_word_cache_is_bounded() -> None:
    cache = WordCache(load_font("DejaVu Sans"), size_px=8, column_width=140, most_glyphs=100)
    for number in range(0, 2000, 20):
        cache.find_pieces(" ".join(map(str, range(number, number + 20))))
    assert len(cache.glyphs) <= 100 + 20 * len("1999")


def test_fonts_are_files_of_an_installed_package_known_by_their_digest() -> None:
    digests = gather_digests()
    assert list(digests) == ["DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono"]
    assert len(set(digests.values())) == 3
    for first, second in itertools.pairwise(FAMILIES):
        assert load_font(first).data != load_font(second).data
