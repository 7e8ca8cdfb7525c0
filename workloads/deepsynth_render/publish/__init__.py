"""The publish step: verify every shard, then make the dataset visible in one atomic commit."""
