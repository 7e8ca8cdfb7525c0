"""From datasets in parquet to batches: materialised once per node, memory-mapped, read in any order."""
