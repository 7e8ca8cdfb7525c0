"""Model families: how each builds its prompt, takes its pages and names its parts; building and exporting a model.

page_model.py is what the rest of the trainer knows of a model. A new architecture is a new file next to
deepseek_ocr2.py and a line in build.py. How weights are updated (optimization/) does not belong here.
"""
