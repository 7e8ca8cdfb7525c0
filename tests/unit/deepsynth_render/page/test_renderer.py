"""Documents as a whole: all of the text is drawn, once, in order, with the same bytes each time, or it is refused."""

import hashlib
import os
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deepsynth_render.page import PageRenderer
from deepsynth_render.page.characters import normalise
from deepsynth_render.reporting.dropped import RefusedDocument
from unit.deepsynth_render.page.page_images import PROSE, build_renderer, check_pages

SMALL = build_renderer()
JUSTIFIED_COLUMNS = build_renderer(size="240x120", columns=2, align="justify")

SPACES_AND_DASHES = "\u00a0\u2003\u2009\u202f-\u2010\u2014"
INVISIBLE = "\u00ad\u200b\ufeff\x00\r\x85\u2028"
LETTERS_AND_MARKS = "'\u20ac\u0301\u0323\u03c9\u0436\ufb01\u01c6\u2192\U0001f600"
ODD = SPACES_AND_DASHES + INVISIBLE + LETTERS_AND_MARKS
words = (
    st.text("abcdefgXYZ0123.,/", max_size=12)
    | st.text("a-" + ODD, max_size=8)
    | st.text("wi", min_size=60, max_size=200)
)
separators = st.sampled_from([" ", " ", " ", "  ", "\n", "\n\n", "\n" * 15, "\t", " " * 80, " \n"])
documents = st.lists(st.tuples(words, separators), max_size=30).map(lambda parts: "".join(map("".join, parts)))


@settings(max_examples=50)
@given(documents)
def test_the_joined_texts_of_pages_are_the_document_and_no_page_is_blank(text: str) -> None:
    for renderer in (SMALL, JUSTIFIED_COLUMNS):
        if normalise(text).strip():
            check_pages(text, renderer.render(text, "key"))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.text("abcde\u00e9-.", min_size=1, max_size=12), separators), min_size=40, max_size=80))
def test_a_page_shows_exactly_its_own_text(parts: list[tuple[str, str]]) -> None:
    pages = SMALL.render("".join(map("".join, parts)), "key")
    assume(len(pages) > 1)
    for page in pages:
        assert [alone.png for alone in SMALL.render(page.text, "key")] == [page.png]


@given(st.text(max_size=80))
def test_any_text_is_rendered_whole_or_refused_with_a_reason(text: str) -> None:
    with suppress(RefusedDocument):
        check_pages(text, SMALL.render(text, "key"))


def test_a_long_document_keeps_its_last_words() -> None:
    text = "several words that fill the lines " * 1500 + "the end"
    pages = build_renderer(size="512").render(text, "key")
    check_pages(text, pages)
    assert len(pages) > 5
    assert pages[-1].text.endswith("the end")


@pytest.mark.parametrize("text", ["", " \n\t ", "\x00\x07\u200b", "\u00a0\n\u2003"])
def test_a_document_with_nothing_to_draw_is_refused(text: str) -> None:
    with pytest.raises(RefusedDocument) as caught:
        build_renderer().render(text, "key")
    assert caught.value.reason == "EmptyDocument"


def test_a_document_of_too_many_pages_is_refused_and_not_cut() -> None:
    renderer = build_renderer(maxPages=2)
    with pytest.raises(RefusedDocument, match=r"needs \d+ pages, spec.page.maxPages is 2") as caught:
        renderer.render(PROSE, "key")
    assert caught.value.reason == "TooManyPages"


def test_a_very_long_word_is_refused_for_the_pages_it_would_need() -> None:
    with pytest.raises(RefusedDocument, match="needs 40 pages") as caught:
        build_renderer(size="512", maxPages=39).render("x" * 200_000, "key")
    assert caught.value.reason == "TooManyPages"


def test_several_fonts_and_sizes_are_chosen_by_seed_and_key() -> None:
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
