"""What may differ between the next attempt and the last one: the settings of the spec, and the nodes to avoid.

How an attempt is counted and how it ends is in the folder above.
"""
