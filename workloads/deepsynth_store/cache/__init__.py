"""Files that attempts, runs and nodes share: content by key in a folder, and folders of links to it.

    files.py    find, fill and evict files, for many processes
    entries.py  content and its records: verify, keep, remove
    filling.py  files on their way
    uses.py     which files living processes need
    links.py    the files of a model, under their names

What the files hold, and what is done where there is no room, belongs to the callers.
"""
