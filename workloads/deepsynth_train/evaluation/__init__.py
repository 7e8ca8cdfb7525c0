"""Measuring a model on the validation split: loss, and ROUGE of what it generates."""
