"""Evaluating the model on the validation split: loss, and ROUGE of generated text.

When to evaluate is in cadence.py; where the values go, in loop.py and tracking/.
"""
