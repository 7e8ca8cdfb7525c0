"""What the Trainer of notebooks and scripts adds to an attempt: everything between a user's Python and the workload.

Arguments, data of any form, progress on the screen, callbacks, Ctrl-C. How training works does not belong here. No
module imports torch, so that wrong arguments are refused at once.
"""
