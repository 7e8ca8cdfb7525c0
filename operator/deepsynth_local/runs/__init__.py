"""What a local run keeps on disk: the runs folder with its lock, and the resources in it.

Everything else in this package uses it, so it imports nothing of ours but the vocabulary of the operator.
"""
