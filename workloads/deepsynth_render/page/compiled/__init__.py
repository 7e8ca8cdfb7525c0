"""The renderer's inner loops in C, as an extension module: what is slow in Python and simple in C.

    table.c        words to their pieces        shaping.c  words to glyphs, by HarfBuzz
    usual_words.c  words of Latin letters, cut and set while a table looks for them
    kerning.c      the same without HarfBuzz, in fonts that only kern neighbours
    breaking.c     pieces to lines              placing.c  glyphs to bitmaps
    glyphs.c       glyphs to ink, by FreeType   drawing.c  bitmaps onto a page
    characters.c   what a text consists of      module.c   what is exported

Each function has a twin in numpy or plain Python, in the module that calls it, which gives the same result bit for bit
and is used where the extension is not built. Functions check all indices and lengths, and raise ValueError. What needs
a library of its own does not belong here; HarfBuzz and FreeType are those that uharfbuzz and freetype-py have loaded.
`build.py` compiles; the renderer imports `loading`.
"""
