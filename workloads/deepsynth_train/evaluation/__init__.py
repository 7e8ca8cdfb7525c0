"""Evaluating the model on the validation split: loss, and metrics and samples of the text that it writes.

When to evaluate is in loop/cadence.py; where the values go, in loop/loop.py and tracking/.
"""
