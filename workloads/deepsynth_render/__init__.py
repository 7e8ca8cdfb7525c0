"""The containers of a DatasetGeneration: `plan`, `render` and `publish`, one package per step.

Steps do not import each other; they share `documents` (what they hand to each other), `page` (text to images),
`sources` (reading text) and `reporting` (what the operator sees of a step). Where bytes are stored is a matter of
`deepsynth_store`, resources and Jobs are the operator's, and torch is not installed here.
"""
