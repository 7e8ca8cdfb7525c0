"""The compiled table and shaper: equal to their twins in Python."""

import tracemalloc
from random import Random

import numpy as np
import pytest
import uharfbuzz
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_api.reasons import Reason
from deepsynth_render.page.compiled.loading import core
from deepsynth_render.page.fonts import FAMILIES, FontStyle, load_font
from deepsynth_render.page.glyphs import PHASES, WIDTH, GlyphAtlas
from deepsynth_render.page.scripts.properties import list_characters, list_in_python
from deepsynth_render.page.word_table import PythonTable
from deepsynth_render.page.words import FIRST_GLYPH, GLYPHS, WordCache
from deepsynth_render.reporting.dropped import RefusedDocument

LIBRARY = str(uharfbuzz._harfbuzz.__file__)
texts = st.text(st.sampled_from("ab \n\x00\u00e9\u0416\u6587\U0001f600"), max_size=40)


@given(texts, st.lists(st.tuples(texts, st.integers(0, 2**40), st.integers(1, 4)), max_size=20))
def test_both_tables_find_the_same(text: str, known: list[tuple[str, int, int]]) -> None:
    compiled, reference = core.WordTable(), PythonTable()
    words = text.replace("\n", " \n ").split(" ")
    for word, first, count in [*known, *((word, number, 2) for number, word in enumerate(words[::2]))]:
        compiled.add(word, first, count)
        reference.add(word, first, count)
    counts = np.array([count for _, _, count in known], np.int64)
    compiled.add_all([f"+{word}" for word, _, _ in known], 7, counts)
    reference.add_all([f"+{word}" for word, _, _ in known], 7, counts)
    assert compiled.find(text) == reference.find(text)
    assert compiled.find_words([f"+{word}" for word in words]) == reference.find_words([f"+{word}" for word in words])
    assert compiled.find_words(words) == reference.find_words(words)
    assert len(compiled) == len(reference)


def test_a_table_keeps_all_of_many_words() -> None:
    table = core.WordTable()
    for number in range(20_000):
        table.add(f"{number:x}" * (number % 5), number, 1 + number % 3)
    words = [f"{number:x}" * (number % 5) for number in range(20_000)]
    rows, counts, unknown = table.find_words(words)
    assert unknown == []
    expected = {word: number for number, word in enumerate(words)}
    ends = np.cumsum(np.frombuffer(counts, np.int64))
    firsts = np.frombuffer(rows, np.int64)[ends - np.frombuffer(counts, np.int64)]
    assert firsts.tolist() == [expected[word] for word in words]


def test_a_word_takes_less_than_a_hundred_bytes_of_a_table() -> None:
    table = core.WordTable()
    for number in range(100_000):
        table.add(f"word{number}", number, 1)
    assert table.measure() < 100 * 100_000


@pytest.mark.parametrize(("first", "count"), [(-1, 1), (0, 0), (0, -1), (0, 2**32), (2**70, 1)])
def test_a_range_that_cannot_be_is_an_error(first: int, count: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        core.WordTable().add("word", first, count)


def test_counts_of_other_words_are_an_error() -> None:
    for counts in (np.ones(1, np.int64), np.array([1, 0]), np.array([1, -1]), np.array([1, 2**62])):
        with pytest.raises(ValueError, match=r"counts|piece"):
            core.WordTable().add_all(["a", "b"], 0, counts)


def test_text_that_is_not_unicode_is_an_error() -> None:
    table = core.WordTable()
    for call in (lambda: table.find("\ud800"), lambda: table.find_words(["\ud800"]), lambda: table.add("\ud800", 0, 1)):
        with pytest.raises(UnicodeEncodeError):
            call()
    shaper = core.Shaper(LIBRARY, load_font("DejaVu Sans").data, 0, 64, [], False)
    with pytest.raises(UnicodeEncodeError):
        shaper.shape(["\ud800"], "Latn", False)
    with pytest.raises(TypeError):
        shaper.shape([b"bytes"], "Latn", False)  # type: ignore[list-item]


WORDS = ["office", "AVATAR", "\u00e9t\u00e9", "q\u0323\u0301", "", "\u4e00", "a" * 900, "\u201cWort\u201d,", "1\u20442"]


ARABIC = ["\u0633\u0644\u0627\u0645", "\u0644\u0651\u064e\u0647", "\u0661\u0662"]
DEVANAGARI = ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u0915\u094d\u0937"]


@pytest.mark.parametrize(
    ("family", "script", "words", "right_to_left"),
    [
        *((family, "Latn", WORDS, False) for family in FAMILIES),
        ("Noto Sans Arabic", "Arab", ARABIC, True),
        ("Noto Sans Arabic", "Arab", ARABIC, False),
        ("Noto Sans Devanagari", "Deva", DEVANAGARI, False),
        ("Noto Sans CJK KR", "Hani", ["\u6587\u5b57\u3002"], False),
    ],
)
@pytest.mark.parametrize("weight", [400, 700])
def test_words_are_shaped_as_uharfbuzz_shapes_them(
    family: str, script: str, words: list[str], right_to_left: bool, weight: int
) -> None:
    font = load_font(family, FontStyle(weight, italic=False))
    variations = [f"{axis}={value}" for axis, value in font.variation.items()]
    shaper = core.Shaper(LIBRARY, font.data, font.face, 18 * 64, variations, False)
    found, measured = shaper.shape(words, script, right_to_left)
    glyphs = np.frombuffer(found, np.int64).reshape(-1, 3).tolist()
    for word, (count, advance) in zip(words, np.frombuffer(measured, np.int64).reshape(-1, 2).tolist(), strict=True):
        buffer = uharfbuzz.Buffer()
        buffer.add_str(word)
        buffer.direction, buffer.language, buffer.script = "rtl" if right_to_left else "ltr", "und", script
        uharfbuzz.shape(font.build_shaper(18), buffer)
        if not word or any(info.codepoint == 0 for info in buffer.glyph_infos):
            assert count == 0
            continue
        assert count == len(buffer.glyph_infos)
        x = 0
        for info, position, glyph in zip(buffer.glyph_infos, buffer.glyph_positions, glyphs[:count], strict=True):
            assert glyph == [info.codepoint, x + position.x_offset, position.y_offset]
            x += position.x_advance
        assert advance == x
        del glyphs[:count]
    assert glyphs == []


@pytest.mark.parametrize(
    ("face", "scale", "variations"),
    [(-1, 64, []), (0, 0, []), (0, 64, ["wght"]), (0, 64, ["a=1"] * 17), (0, 64, ["x" * 200])],
)
def test_a_font_that_cannot_be_opened_so_is_an_error(face: int, scale: int, variations: list[str]) -> None:
    with pytest.raises(ValueError, match=r"scale|axis|axes"):
        core.Shaper(LIBRARY, load_font("DejaVu Sans").data, face, scale, variations, False)


def test_a_library_without_harfbuzz_is_an_error() -> None:
    for library in ("no-such-library.so", "libc.so.6"):
        with pytest.raises(OSError, match=r"cannot be opened|no function hb_"):
            core.Shaper(library, b"", 0, 64, [], False)


def test_a_file_that_is_no_font_has_no_glyphs() -> None:
    assert core.Shaper(LIBRARY, b"no font", 0, 64, [], False).shape(["word"], "Latn", False)[0] == b""


_ALPHABET = "ab\u00e9\u00df\u0141_0.'--\u2010\u2013\u2014\u2019\u2020\u1ebf\u2192\u00a0"


def _read_words(cache: WordCache, keys: list[str]) -> list[list[tuple[list[int], list[int], list[list[int]]]]]:
    """Of each word: its pieces without the rows of glyphs, their extents, and their glyphs as boxes, x and y."""
    rows, counts = cache.find_keys(keys)
    found = iter(rows.tolist())
    pieces, glyphs, extents = cache.pieces.read(), cache.glyphs.read(), cache.shapes.extents.read()
    boxes = cache.atlas.boxes.read()[::PHASES, WIDTH:].tolist()

    def read(row: int) -> tuple[list[int], list[int], list[list[int]]]:
        piece = pieces[row].tolist()
        first, count = piece[FIRST_GLYPH], piece[GLYPHS]
        drawn = [[*boxes[slot], x, y] for slot, x, y in glyphs[first : first + count].tolist()]
        return piece[:FIRST_GLYPH] + piece[GLYPHS:], extents[row].tolist(), drawn

    return [[read(next(found)) for _ in range(count)] for count in counts.tolist()]


@pytest.mark.parametrize("family", ["DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono", "Noto Serif"])
def test_usual_words_are_set_as_each_word_is_alone(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(family)
    keys = [
        "",
        *("".join(random.choices(_ALPHABET, k=random.randint(1, 12))) for _ in range(3000)),
        "wide" * 200,
        "a" * 1001,
    ]
    together = WordCache(load_font(family), 18, 300, max_glyphs=10**6)
    monkeypatch.setattr("deepsynth_render.page.words.build_batch_shaper", lambda *_: None)
    alone = WordCache(load_font(family), 18, 300, max_glyphs=10**6)
    for start in range(0, len(keys), 100):  # words come in documents, and some of them again
        part = keys[start : start + 100] + random.choices(keys[: start + 1], k=20)
        assert _read_words(together, part) == _read_words(alone, part)


def test_words_beyond_the_usual_characters_are_shaped_together_next_to_usual_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = WordCache(load_font("DejaVu Sans"), 18, 300, max_glyphs=10**6)
    monkeypatch.setattr(cache, "_add_word", lambda key: pytest.fail(f"{key} is shaped alone"))
    assert len(cache.find_pieces("one two three four-five Windows\u2122 nh\u1eefng \u2192").rows) == 8


def test_usual_words_need_a_place_for_each_glyph_and_what_draws_it() -> None:
    shaper = core.Shaper(LIBRARY, load_font("DejaVu Sans").data, 0, 64, [], False)
    kinds, few, many = bytes([1]) * 128, np.full(3, -1, np.int32), np.full(9000, -1, np.int32)
    table = core.WordTable()
    with pytest.raises(ValueError, match="slots: has no place for glyph"):
        shaper.find_usual(table, "word", "Latn", kinds, few, lambda _: 0, 1, 9999, 0, 0)
    with pytest.raises(ValueError, match="draw: must return a slot"):
        shaper.find_usual(table, "word", "Latn", kinds, many, lambda _: -1, 1, 9999, 0, 0)
    with pytest.raises(ZeroDivisionError):
        shaper.find_usual(table, "word", "Latn", kinds, many, lambda glyph: glyph // 0, 1, 9999, 0, 0)
    with pytest.raises(UnicodeEncodeError):
        shaper.find_usual(table, "\ud800", "Latn", kinds, many, lambda _: 0, 1, 9999, 0, 0)
    with pytest.raises(TypeError, match="table: must be a WordTable"):
        shaper.find_usual({}, "word", "Latn", kinds, many, lambda _: 0, 1, 9999, 0, 0)  # type: ignore[arg-type]
    assert len(table) == 0
    found, pieces, _ = shaper.find_usual(table, "w\u0600  x x", "Latn", kinds, many, lambda _: 7, 1, 9999, 5, 0)
    assert found == (np.array([5, 5]).tobytes(), ["w\u0600", ""])
    assert len(pieces) == 7 * 4
    assert table.find("x") == (np.array([5]).tobytes(), [])


def test_words_are_looked_up_while_others_are_new() -> None:
    cache, other = (WordCache(load_font("DejaVu Sans"), 18, 300, max_glyphs=10**6) for _ in range(2))
    texts = [
        f"the {number:x} well-{'kn' * number}own\n\u2192 {number // 3} the  \u00e9t\u00e9 " + "e" * number
        for number in range(200)
    ]
    rows = [cache.find_pieces(text).rows for text in texts]
    for text, found in zip(texts, rows, strict=True):
        assert cache.find_pieces(text).rows.tolist() == found.tolist()
        assert (cache.pieces.take(found)[:, :3] == other.pieces.take(other.find_pieces(text).rows)[:, :3]).all()


def test_a_letter_that_cannot_be_drawn_leaves_no_words_without_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, other = (WordCache(load_font("DejaVu Sans"), 18, 300, max_glyphs=10**6) for _ in range(2))
    find_slot = GlyphAtlas.find_slot

    def fail(atlas: GlyphAtlas, font: int, glyph: int) -> int:
        if len(atlas.blank) + atlas.boxes.count > 8 * PHASES:
            raise RefusedDocument(Reason.MISSING_GLYPH, "damaged")
        return find_slot(atlas, font, glyph)

    text = "one two\nthree four five six"
    with monkeypatch.context() as context:
        context.setattr(GlyphAtlas, "find_slot", fail)
        with pytest.raises(RefusedDocument):
            cache.find_pieces(text)
    pieces, expected = (shown.pieces.take(shown.find_pieces(text).rows) for shown in (cache, other))
    assert np.delete(pieces, FIRST_GLYPH, 1).tolist() == np.delete(expected, FIRST_GLYPH, 1).tolist()


def test_shapers_and_tables_are_freed() -> None:
    data, slots = load_font("DejaVu Sans").data, np.full(9000, -1, np.int32)
    tracemalloc.start()
    try:
        for _ in range(3):
            shapers = [core.Shaper(LIBRARY, data, 0, 64, [], False) for _ in range(50)]
            tables = [core.WordTable() for _ in range(50)]
            for shaper, table in zip(shapers, tables, strict=True):
                shaper.shape(["word"], "Latn", False)
                shaper.find_usual(table, "word " * 1000, "Latn", bytes([1]) * 128, slots, lambda _: 0, 1, 9999, 0, 0)
                table.add("word", 0, 1)
                table.find("word " * 1000)
            del shapers, tables, shaper, table
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()


@given(st.text())
def test_both_list_the_same_characters(text: str) -> None:
    assert core.list_characters(text) == list_in_python(text)
    assert core.list_characters(text[::-1]) == list_in_python(text[::-1])  # nothing is left of the call before


def test_the_characters_of_a_text_with_a_lone_surrogate_are_listed() -> None:
    assert list_characters("a\ud800ba") == "a\ud800b"


def test_words_are_found_in_texts_of_any_number_of_words() -> None:
    """Words are looked up 32 at a time."""
    compiled, reference = core.WordTable(), PythonTable()
    for table in (compiled, reference):
        table.add("\n", 0, 1)
        table.add("a", 1, 2)
    for count in (0, 1, 31, 32, 33, 64, 65):
        text = "a " * count + "\nb"
        assert compiled.find(text) == reference.find(text)
        assert compiled.find_words(text.split(" ")) == reference.find_words(text.split(" "))
