"""What a local run keeps on disk: the runs folder with its lock, and the resources in it."""
