"""What the trainer knows of a model, and the way from spec.model to it and from it to a folder.

page_model.py is the interface. Each architecture has a file behind it, such as deepseek_ocr2.py; families.py lists
them and says how to add one. build.py loads, freezes and adapts; export.py writes. How weights are updated
(optimization/) does not belong here.
"""
