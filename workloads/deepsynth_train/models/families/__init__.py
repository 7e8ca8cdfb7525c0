"""How each architecture takes pages: one file per family behind the interface, and what they share.

registry.py lists the families and says how to add one. Reading and writing files of models does not belong here.
"""
