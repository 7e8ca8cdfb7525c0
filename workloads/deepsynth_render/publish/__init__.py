"""The publish step: check every staged shard, then make the dataset visible in one atomic commit.

The card (README.md) and the manifest are built here. How a commit is made atomic is a matter of `deepsynth_store`.
"""
