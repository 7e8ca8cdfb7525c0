"""The plan step: one pass over the texts decides which rows become documents, and which shard renders each of them.

Rules on rows (`filters`, `deduplicate`) and on shards (`cut_shards`) belong here. Reading a source does not, and
nothing is drawn here.
"""
