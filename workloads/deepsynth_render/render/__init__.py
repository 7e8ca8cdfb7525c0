"""The render step: one shard from its planned rows to parquet files and a receipt."""
