"""Features of pages on disk: what a frozen vision part makes of a page is computed once, and read afterwards.

    vision.py   whether a model's vision part is constant, what names its features, and where they are computed
    store.py    files that are verified when they are read, up to a number of bytes, shared by processes and runs

How a model is fed with features is in models/families/page_features.py.
"""
