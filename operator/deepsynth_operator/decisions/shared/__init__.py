"""What both kinds decide with: the vocabulary of decisions, conditions, deadlines, pods that cannot start, clean-up.

A rule of one kind only belongs to that kind's package.
"""
