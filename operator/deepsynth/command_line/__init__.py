"""The arguments of the `deepsynth` command and its help.

    parser.py      all verbs, and the help of the command itself
    changing.py    options of local, apply, suspend, resume, delete, prune
    showing.py     options of get, describe, logs, wait, report, compare, cost, ui
    models.py      options of fit, predict, evaluate
    printing.py    options of template, completion
    shared.py      options that several verbs have

What a verb does belongs to deepsynth.verbs; which function runs it to deepsynth.__main__.
"""
