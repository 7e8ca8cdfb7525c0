"""Markdown to blocks: a string in, what its marks say out, each character with its place in the source.

All that is drawn are characters of the source; only marks that have a shape instead (#, **, bullets, frames of tables)
are not. How blocks look, and fonts, do not belong here: see paragraphs.py, tables.py and block_setting.py.
"""
