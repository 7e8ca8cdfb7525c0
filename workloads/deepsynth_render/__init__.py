"""The containers of a DatasetGeneration: `plan`, `render` and `publish`, one package per step.

`documents` holds what the steps hand to each other, `page` turns text into images, `sources` reads text. Steps do not
import each other. No torch here, and nothing of the operator.
"""
