"""The render step: one shard, from its planned rows to parquet files and a receipt in staging.

How a page looks belongs to `page`; this package decides which documents are drawn and writes what comes out.
"""
