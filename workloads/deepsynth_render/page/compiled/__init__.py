"""The renderer's inner loops in C, as an extension module: what is slow in Python and simple in C.

    table.c    words to their pieces         shaping.c  many words in one call of HarfBuzz
    breaking.c pieces to lines
    placing.c  glyphs to bitmaps             drawing.c  bitmaps onto a page                  module.c  what is exported

Each function has a twin in numpy or plain Python, in the module that calls it, which gives the same result bit for bit
and is used where the extension is not built. Functions check all indices and lengths, and raise ValueError. What needs
a library of its own (FreeType, deflate) does not belong here; HarfBuzz is the one that uharfbuzz has loaded. `build.py`
compiles; the renderer imports `loading`.
"""
