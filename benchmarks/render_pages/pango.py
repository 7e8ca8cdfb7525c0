"""The same documents with Pango, by ctypes: layout and FreeType drawing are Pango's, PNG and parquet as cheap as ours.

It needs libpangoft2-1.0.so.0 (Debian: libpangoft2-1.0-0), and is skipped where that is missing.
"""

import ctypes
from collections.abc import Iterator
from ctypes import POINTER, Structure, byref, c_char_p, c_double, c_int, c_ubyte, c_uint, c_ushort, c_void_p
from importlib.metadata import distribution
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deepsynth_render.page.fonts import FILES
from deepsynth_render.page.geometry import Geometry
from deepsynth_render.page.png import build_paper

_UNITS: Final = 1024  # per pixel
_GRAY: Final = 2
_WORD_OR_CHARACTER: Final = 2


class _Bitmap(Structure):
    """FT_Bitmap."""

    _fields_ = (
        ("rows", c_uint),
        ("width", c_uint),
        ("pitch", c_int),
        ("buffer", POINTER(c_ubyte)),
        ("num_grays", c_ushort),
        ("pixel_mode", c_ubyte),
        ("palette_mode", c_ubyte),
        ("palette", c_void_p),
    )


def is_installed() -> bool:
    try:
        ctypes.CDLL("libpangoft2-1.0.so.0")
    except OSError:
        return False
    return True


class Pango:
    def __init__(self, family: str, size_px: int, geometry: Geometry) -> None:
        self._geometry = geometry
        self._pango = ctypes.CDLL("libpango-1.0.so.0")
        self._pangoft2 = ctypes.CDLL("libpangoft2-1.0.so.0")
        fontconfig = ctypes.CDLL("libfontconfig.so.1")
        file = FILES[family]
        config = c_void_p(_call(fontconfig.FcConfigCreate, c_void_p))
        located = str(distribution(file.distribution).locate_file(file.path)).encode()
        _call(fontconfig.FcConfigAppFontAddFile, c_int, config, c_char_p(located))
        fonts = c_void_p(_call(self._pangoft2.pango_ft2_font_map_new, c_void_p))
        _call(self._pangoft2.pango_fc_font_map_set_config, None, fonts, config)
        context = c_void_p(_call(self._pango.pango_font_map_create_context, c_void_p, fonts))
        description = c_void_p(_call(self._pango.pango_font_description_new, c_void_p))
        _call(self._pango.pango_font_description_set_family, None, description, c_char_p(family.encode()))
        size = c_double(size_px * _UNITS)
        _call(self._pango.pango_font_description_set_absolute_size, None, description, size)
        self._layout = c_void_p(_call(self._pango.pango_layout_new, c_void_p, context))
        _call(self._pango.pango_layout_set_font_description, None, self._layout, description)
        _call(self._pango.pango_layout_set_width, None, self._layout, c_int(geometry.column_width * _UNITS))
        _call(self._pango.pango_layout_set_wrap, None, self._layout, c_int(_WORD_OR_CHARACTER))

    def draw(self, text: str) -> Iterator[NDArray[np.uint8]]:
        """Pages as encode_png takes them; the next page overwrites the one before."""
        geometry = self._geometry
        encoded = text.encode()
        _call(self._pango.pango_layout_set_text, None, self._layout, c_char_p(encoded), c_int(len(encoded)))
        lines = _call(self._pango.pango_layout_get_line_count, c_int, self._layout)
        ink = np.zeros((geometry.height, geometry.width), np.uint8)
        paper = build_paper(geometry.width, geometry.height, 4)
        bitmap = _Bitmap(geometry.height, geometry.width, geometry.width, num_grays=256, pixel_mode=_GRAY)
        bitmap.buffer = ink.ctypes.data_as(POINTER(c_ubyte))
        for first in range(0, lines, geometry.lines_per_page):
            ink[:] = 0
            for row, number in enumerate(range(first, min(lines, first + geometry.lines_per_page))):
                line = c_void_p(
                    _call(self._pango.pango_layout_get_line_readonly, c_void_p, self._layout, c_int(number))
                )
                left, top = geometry.column_lefts[0], geometry.first_baseline + row * geometry.line_pitch
                _call(self._pangoft2.pango_ft2_render_layout_line, None, byref(bitmap), line, c_int(left), c_int(top))
            levels = 15 - (ink >> 4)
            paper[:, 1:] = levels[:, ::2] << 4 | levels[:, 1::2]
            yield paper


def _call(function: Any, result: Any, *arguments: Any) -> Any:
    function.restype = result
    return function(*arguments)
