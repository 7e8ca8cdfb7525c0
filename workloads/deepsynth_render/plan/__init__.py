"""The plan step: one pass over the text columns decides what is rendered, and in which shard."""
