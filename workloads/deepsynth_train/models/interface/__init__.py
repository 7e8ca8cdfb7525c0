"""What the trainer knows of a model: PageModel with its Family, prompts, and text that never makes special tokens.

page_model.py is the interface. No architecture is named here, and no file is read.
"""
