"""The files that the steps hand to each other and to readers: plan, planned rows, receipts, the published manifest.

Formats and how they are read and written; no step's work.
"""
