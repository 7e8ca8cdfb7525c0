"""Fonts of a few square glyphs, made by fontTools, for tests of what users bring."""

import io
from collections.abc import Sequence

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection

LICENSE = "This Font Software is licensed under the SIL Open Font License, Version 1.1."
LICENSE_URL = "https://openfontlicense.org"


def build_font_file(
    characters: str, *, square: int = 600, ascender: int = 800, license_text: str | None = LICENSE
) -> bytes:
    """A TrueType font of 1000 units per em with a square of this size for each character but the blank."""
    content = io.BytesIO()
    _build(characters, square, ascender, license_text).save(content)
    return content.getvalue()


def build_collection(faces: Sequence[tuple[str, int]]) -> bytes:
    """A .ttc with a face for each (characters, square)."""
    collection = TTCollection()
    collection.fonts = [_build(characters, square, 800, LICENSE).font for characters, square in faces]
    content = io.BytesIO()
    collection.save(content)
    return content.getvalue()


def _build(characters: str, square: int, ascender: int, license_text: str | None) -> FontBuilder:
    names = {character: f"u{ord(character):05X}" for character in dict.fromkeys(characters)}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap({ord(character): name for character, name in names.items()})
    builder.setupGlyf(
        {".notdef": _draw(0), **{name: _draw(0 if char == " " else square) for char, name in names.items()}}
    )
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (square + 100, 50)))
    builder.setupHorizontalHeader(ascent=ascender, descent=-200)
    legal = {"licenseDescription": license_text, "licenseInfoURL": LICENSE_URL} if license_text else {}
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular", "version": "Version 1.5", **legal})
    builder.setupOS2(sTypoAscender=ascender, sTypoDescender=-200, usWinAscent=ascender, usWinDescent=200)
    builder.setupPost()
    return builder


def _draw(square: int) -> object:
    pen = TTGlyphPen(None)
    if square:
        pen.moveTo((50, 0))
        for point in [(50, square), (50 + square, square), (50 + square, 0)]:
            pen.lineTo(point)
        pen.closePath()
    return pen.glyph()
