"""Parquet files, and the rows in them.

    splits.py       which parquet files belong to a split
    materialise.py  parquet -> memory-mapped Arrow files, once per node
    convert.py      one of those files: checked, decoded, pages in their order
    page_order.py   the order of a document's pages, by their numbers
    streamed.py     pages that are read from their store until their file is here
    filling.py      fetching such files in the background
    page_table.py   rows of those files by number; a row is a page
    columns.py      the columns of a page, and which holds a task's labels
    images.py       an encoded page -> its picture, or only its size; whether it is damaged
    in_memory.py    pages that are not parquet yet, as from a notebook -> parquet

What a row means for training is in selection/.
"""
