"""Words that are put together from letters and pairs of letters: as HarfBuzz sets them, because the fonts allow it."""

import re
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
import uharfbuzz
from fontTools.ttLib import TTFont

from deepsynth_render.page.compiled.loading import core
from deepsynth_render.page.fonts import FILES, KERNS_NEIGHBOURS, load_font
from deepsynth_render.page.word_batches import USUAL

LIBRARY = str(uharfbuzz._harfbuzz.__file__)
LETTERS = re.findall(f"[{USUAL}]", "".join(map(chr, range(0x20AD))))
APPLIED = {
    "abvm",
    "blwm",
    "calt",
    "ccmp",
    "clig",
    "curs",
    "dist",
    "kern",
    "liga",
    "locl",
    "mark",
    "mkmk",
    "rclt",
    "rlig",
}
"""Features that HarfBuzz applies to Latin text by itself."""
FAMILIES = sorted(KERNS_NEIGHBOURS)


def set_words(family: str, text: str, size_px: int, *, kerns_neighbours: bool) -> tuple[Any, ...]:
    font = load_font(family)
    shaper = core.Shaper(LIBRARY, font.data, font.face, size_px * 64, [], kerns_neighbours)
    slots = np.full(font.glyph_count, -1, np.int32)
    kinds = bytearray(0x20AD)
    for letter in LETTERS:
        kinds[ord(letter)] = ord(letter) in font.codepoints
    return shaper.find_usual(
        core.WordTable(), text, "Latn", bytes(kinds), slots, lambda glyph: 2 * glyph, 1, 10**6, 0, 0
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_words_are_put_together_as_harfbuzz_sets_them(family: str) -> None:
    random = Random(family)
    few, many = "fiflAVToyWYaä-\u2013.,jJtTrR\"'", LETTERS
    words = ["".join(random.choices(few if number % 2 else many, k=random.randint(1, 9))) for number in range(6000)]
    words += ["office", "ffi", "AVAVAVAV", "a" * 1000]
    text, size_px = " ".join(words), random.randint(6, 60)
    plain = set_words(family, text, size_px, kerns_neighbours=False)
    assert set_words(family, text, size_px, kerns_neighbours=True) == plain
    (rows, _), _, _ = plain
    assert len(rows) > 3000 * 8


def test_letters_of_another_script_are_left_to_harfbuzz() -> None:
    font = load_font("DejaVu Sans")
    shapers = [core.Shaper(LIBRARY, font.data, 0, 1152, [], flag) for flag in (True, False)]
    slots, kinds = np.full(font.glyph_count, -1, np.int32), bytes([1]) * 128
    for script in ("Latn", "Zyyy", "Latn"):
        one, other = (
            shaper.find_usual(core.WordTable(), "AVA", script, kinds, slots, lambda _: 2, 1, 9999, 0, 0)
            for shaper in shapers
        )
        assert one == other


@pytest.mark.parametrize("family", FAMILIES)
def test_a_font_that_only_kerns_neighbours_has_no_rule_that_looks_further(family: str) -> None:
    with TTFont(FILES[family].locate()) as font:
        cmap = font.getBestCmap()
        usual = {cmap[ord(letter)] for letter in LETTERS if ord(letter) in cmap}
        ligatures: set[tuple[str, ...]] = set()
        for kind, subtable in list_subtables(font["GSUB"].table):
            if kind == 1:  # one glyph for another
                usual |= {glyph for old, glyph in subtable.mapping.items() if old in usual}
        for kind, subtable in list_subtables(font["GSUB"].table):
            if kind == 4:
                for first, found in subtable.ligatures.items():
                    ligatures |= {(first, *ligature.Component) for ligature in found}
            elif kind != 1:
                assert kind == 6
                assert needs_others(subtable, usual)
        for ligature in ligatures:
            if usual.issuperset(ligature):
                assert any(pair in ligatures for pair in pairwise(ligature)), ligature
        for kind, subtable in list_subtables(font["GPOS"].table):
            if kind == 2:
                assert (subtable.ValueFormat1, subtable.ValueFormat2) == (4, 0)  # the advance of the first one
            elif kind == 1:
                assert usual.isdisjoint(subtable.Coverage.glyphs)
            else:
                assert kind in {4, 5, 6}
                marks = subtable.Mark1Coverage if kind == 6 else subtable.MarkCoverage
                assert usual.isdisjoint(marks.glyphs)


def list_subtables(table: Any) -> Iterator[tuple[int, Any]]:
    """Type and content of what is applied to Latin text in no particular language."""
    scripts = {record.ScriptTag: record.Script for record in table.ScriptList.ScriptRecord}
    system = (scripts.get("latn") or scripts["DFLT"]).DefaultLangSys
    features = [table.FeatureList.FeatureRecord[index] for index in system.FeatureIndex]
    assert system.ReqFeatureIndex == 0xFFFF
    for record in features:
        if record.FeatureTag in APPLIED:
            for index in record.Feature.LookupListIndex:
                for subtable in table.LookupList.Lookup[index].SubTable:
                    yield subtable.LookupType, subtable


def needs_others(subtable: Any, usual: set[str]) -> bool:
    """Whether each rule with context needs a glyph that no usual letter has."""
    if subtable.Format == 3:
        covered = [*subtable.BacktrackCoverage, *subtable.InputCoverage, *subtable.LookAheadCoverage]
        return any(usual.isdisjoint(coverage.glyphs) for coverage in covered)
    assert subtable.Format == 2
    before, own, after = (
        {classes.classDefs.get(glyph, 0) for glyph in usual} if classes else {0}
        for classes in (subtable.BacktrackClassDef, subtable.InputClassDef, subtable.LookAheadClassDef)
    )
    return not any(
        before.issuperset(rule.Backtrack) and own.issuperset([first, *rule.Input]) and after.issuperset(rule.LookAhead)
        for first, rules in enumerate(subtable.ChainSubClassSet)
        for rule in (rules.ChainSubClassRule if rules else [])
    )
