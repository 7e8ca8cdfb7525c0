"""The cache of words: pieces fit a column, and the cache is bounded."""

import re
from random import Random

import pytest

from deepsynth_render.page import PageRenderer
from deepsynth_render.page.fonts import load_font
from deepsynth_render.page.scripts.properties import find_script
from deepsynth_render.page.word_batches import USUAL
from deepsynth_render.page.word_table import PythonTable
from deepsynth_render.page.words import ADVANCE, CHARS, MAX_SHAPED_CHARACTERS, WordCache, _slice
from deepsynth_render.reporting.dropped import RefusedDocument
from unit.deepsynth_render.page.page_images import PROSE, build_page, build_renderer


def test_a_cluster_wider_than_a_column_is_refused() -> None:
    with pytest.raises(RefusedDocument, match="wider than a column") as caught:
        WordCache(load_font("DejaVu Sans"), size_px=20, column_width=10, max_glyphs=100).find_pieces("W")
    assert caught.value.reason == "Overflow"


def test_a_word_too_long_for_harfbuzz_is_broken_into_pieces_and_none_of_it_is_lost() -> None:
    """HarfBuzz 14 gives up on this text in words of 600,000 to 1,048,000 characters, and on no longer ones."""
    word = "word" * 150_000
    cache = WordCache(load_font("DejaVu Sans"), size_px=18, column_width=448, max_glyphs=10**6)
    found, _ = cache.find_pieces(word)
    pieces = cache.pieces.take(found)
    assert pieces[:, CHARS].sum() == len(word) + 1
    assert pieces[:, ADVANCE].max() <= 448 * 64


def test_a_mark_stays_with_its_letter_where_a_long_word_is_cut() -> None:
    word = "x" * (MAX_SHAPED_CHARACTERS - 1) + "q\u0301\u0323" + "x"
    assert list(_slice(word)) == [word[:-1], "x"]


def test_an_emoji_sequence_without_end_is_cut_all_the_same() -> None:
    """HarfBuzz takes seconds for 100,000 characters at once."""
    parts = list(_slice("\U0001f468\u200d" * 50_000))
    assert max(map(len, parts)) <= 2 * MAX_SHAPED_CHARACTERS
    assert sum(map(len, parts)) == 100_000


def test_a_word_cache_is_bounded() -> None:
    cache = WordCache(load_font("DejaVu Sans"), size_px=8, column_width=140, max_glyphs=100)
    for number in range(0, 2000, 20):
        cache.find_pieces(" ".join(map(str, range(number, number + 20))))
    assert cache.glyphs.count <= 100 + 20 * len("1999")


@pytest.mark.parametrize("letters", [2, 5, 12])
def test_a_word_cache_takes_at_most_fifty_bytes_per_glyph(letters: int) -> None:
    """So the two million of a renderer take at most 100 MB."""
    limit, random = 60_000, Random(1)
    cache = WordCache(load_font("DejaVu Sans"), size_px=8, column_width=400, max_glyphs=limit)
    most = 0
    for _ in range(60):
        words = ["".join(map(chr, random.choices(range(0x100, 0x180), k=letters))) for _ in range(500)]
        cache.find_pieces(" ".join(words))
        arrays = (cache.pieces.read().base, cache.glyphs.read().base, cache.shapes.extents.read().base)
        table = cache._words
        assert not isinstance(table, PythonTable)
        most = max(most, sum(array.nbytes for array in arrays if array is not None) + table.measure())
    assert 15 * limit < most < 50 * limit


def test_a_full_word_cache_is_emptied_and_draws_the_same() -> None:
    expected = [page.png for page in build_renderer().render(PROSE, "key")]
    forgetful = PageRenderer(build_page(), "fast", max_glyphs=10)
    for _ in range(3):
        assert [page.png for page in forgetful.render(PROSE, "key")] == expected


def test_words_and_glyphs_of_all_styles_take_a_bounded_memory_and_are_drawn_the_same() -> None:
    """Documents whose glyphs, sizes and looks are all different."""
    texts = [
        "".join(
            f"{'#' * level} {chr(0x4E00 + 60 * number + level)}**{chr(0x6000 + number)}**\n\n" for level in range(7)
        )
        for number in range(30)
    ]
    page = build_page(format="markdown", fontSizesPx=[8, 9, 10, 11, 12], size="300x300")
    renderer, free = PageRenderer(page, "fast", max_bytes=20_000), PageRenderer(page, "fast")
    most = 0
    for number, text in enumerate(texts):
        taken = sum(shapes.count_bytes() for shapes in renderer._shapes)
        pages = renderer.render(text, str(number))
        most = max(most, sum(shapes.count_bytes() for shapes in renderer._shapes) - min(taken, 20_000))
        assert [page.png for page in pages] == [page.png for page in free.render(text, str(number))]
    kept = sum(shapes.count_bytes() for shapes in renderer._shapes)
    assert kept < 20_000 + most < sum(shapes.count_bytes() for shapes in free._shapes)


def test_a_document_with_too_many_different_glyphs_is_refused_and_the_next_one_is_drawn() -> None:
    renderer = PageRenderer(build_page(size="400x400", maxPages=9), "fast", max_ink=20_000)
    with pytest.raises(RefusedDocument, match="its different letters have more than 20000 pixels"):
        renderer.render("".join(map(chr, range(0x4E00, 0x5000))), "key")
    assert renderer.render(PROSE, "key") == PageRenderer(build_page(size="400x400", maxPages=9), "fast").render(
        PROSE, "key"
    )


def test_usual_characters_are_of_the_latin_script_or_of_none() -> None:
    letters = re.findall(f"[{USUAL}]", "".join(map(chr, range(0x10000))))
    assert len(letters) > 500
    assert {find_script(letter) for letter in letters} <= {"Latn", "Zyyy"}
