"""What the next attempt is made of, where that may differ from the last one: the settings of the spec.

How an attempt is counted and how it ends is in the folder above.
"""
