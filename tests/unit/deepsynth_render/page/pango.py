"""Pango by ctypes: the glyphs that it draws a line with, to compare ours with. Needs libpangoft2."""

import ctypes
from ctypes import POINTER, Structure, c_bool, c_char_p, c_int, c_uint, c_uint8, c_uint32, c_void_p
from typing import Any, NamedTuple

from deepsynth_render.page.fonts import FILES

_UNITS = 1024  # per pixel
_EMPTY = 0x0FFFFFFF  # the glyph of characters that draw nothing


class Glyph(NamedTuple):
    """number: in its font. character: first one of its cluster. advance: in pixels."""

    number: int
    character: str
    advance: float


class _Analysis(Structure):
    _fields_ = (
        ("shape_engine", c_void_p),
        ("lang_engine", c_void_p),
        ("font", c_void_p),
        ("level", c_uint8),
        ("gravity", c_uint8),
        ("flags", c_uint8),
        ("script", c_uint8),
        ("language", c_void_p),
        ("extra_attributes", c_void_p),
    )


class _Item(Structure):
    _fields_ = (("offset", c_int), ("length", c_int), ("num_chars", c_int), ("analysis", _Analysis))


class _GlyphInfo(Structure):
    _fields_ = (("glyph", c_uint32), ("width", c_int), ("x", c_int), ("y", c_int), ("attributes", c_uint))


class _GlyphString(Structure):
    _fields_ = (("count", c_int), ("glyphs", POINTER(_GlyphInfo)), ("clusters", POINTER(c_int)), ("space", c_int))


class _GlyphItem(Structure):
    _fields_ = (("item", POINTER(_Item)), ("glyphs", POINTER(_GlyphString)))


class _List(Structure):
    pass


_List._fields_ = (("data", POINTER(_GlyphItem)), ("next", POINTER(_List)))


class _Line(Structure):
    _fields_ = (("layout", c_void_p), ("start", c_int), ("length", c_int), ("runs", POINTER(_List)))


class Pango:
    """Raises OSError where the libraries are not installed."""

    def __init__(self) -> None:
        self._fontconfig = ctypes.CDLL("libfontconfig.so.1")
        self._pango = ctypes.CDLL("libpango-1.0.so.0")
        self._pangoft2 = ctypes.CDLL("libpangoft2-1.0.so.0")
        config = _call(self._fontconfig.FcConfigCreate, c_void_p)
        for path in {file.locate() for file in FILES.values()}:
            located = c_char_p(str(path).encode())
            assert _call(self._fontconfig.FcConfigAppFontAddFile, c_int, c_void_p(config), located)
        fonts = _call(self._pangoft2.pango_ft2_font_map_new, c_void_p)
        _call(self._pangoft2.pango_fc_font_map_set_config, None, c_void_p(fonts), c_void_p(config))
        self._context = _call(self._pango.pango_font_map_create_context, c_void_p, c_void_p(fonts))
        _call(self._pango.pango_context_set_round_glyph_positions, None, c_void_p(self._context), c_bool(False))

    def shape(self, text: str, family: str, size_px: int) -> list[Glyph]:
        """The glyphs of a line from left to right, without those that draw nothing."""
        layout = c_void_p(_call(self._pango.pango_layout_new, c_void_p, c_void_p(self._context)))
        description = c_void_p(_call(self._pango.pango_font_description_new, c_void_p))
        _call(self._pango.pango_font_description_set_family, None, description, c_char_p(family.encode()))
        size = ctypes.c_double(size_px * _UNITS)
        _call(self._pango.pango_font_description_set_absolute_size, None, description, size)
        _call(self._pango.pango_layout_set_font_description, None, layout, description)
        encoded = text.encode()
        _call(self._pango.pango_layout_set_text, None, layout, c_char_p(encoded), c_int(len(encoded)))
        line = _call(self._pango.pango_layout_get_line_readonly, POINTER(_Line), layout, c_int(0)).contents
        glyphs: list[Glyph] = []
        runs = line.runs
        while runs:
            glyphs += _read_run(runs.contents.data.contents, encoded)
            runs = runs.contents.next
        return glyphs


def _read_run(run: _GlyphItem, text: bytes) -> list[Glyph]:
    item, string = run.item.contents, run.glyphs.contents
    found = []
    for index in range(string.count):
        info = string.glyphs[index]
        character = text[item.offset + string.clusters[index] :].decode()[0]
        if info.glyph != _EMPTY and character != " ":
            found.append(Glyph(info.glyph, character, info.width / _UNITS))
    return found


def _call(function: Any, result: Any, *arguments: Any) -> Any:
    function.restype = result
    return function(*arguments)
