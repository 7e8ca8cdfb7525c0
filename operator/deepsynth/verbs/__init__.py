"""What each command does, on the Resources of any place. A verb prints, and returns the exit code.

    names.py        KIND NAME, KIND/NAME and NAME of a command line -> resources
    get.py apply.py lifecycle.py waiting.py describe.py logs.py ...

What something looks like is plain text here; HTML belongs to deepsynth_client.report.
"""
