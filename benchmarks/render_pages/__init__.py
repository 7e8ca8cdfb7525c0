"""How fast pages are rendered, compared with other libraries: `python -m benchmarks.render_pages`.

`corpus` has the documents, `shards` runs the real render step in fresh processes, `peers` draws the same documents with
other libraries. Tests of correctness do not belong here.
"""
