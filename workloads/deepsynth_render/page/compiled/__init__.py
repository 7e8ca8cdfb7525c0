"""The renderer's inner loops in C, as an extension module: what is slow in Python and simple in C.

    drawing.c  bitmaps onto a page      placing.c  glyphs of a document to bitmaps      module.c  the list of functions

Each function has a twin in numpy or plain Python, in the module that calls it, which gives the same result bit for bit
and is used where the extension is not built. Functions check all indices and lengths, and raise ValueError. What needs
a library of its own (FreeType, deflate) does not belong here. `build.py` compiles; the renderer imports `loading`.
"""
