"""The life of a DatasetGeneration: plan, render, publish, each a Job.

Start at `decide.py`.
"""
