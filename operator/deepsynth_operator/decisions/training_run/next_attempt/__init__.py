"""What may differ between the next attempt and the last one: settings of the spec, the number of pods, nodes to avoid.

How an attempt is counted and how it ends is in the folder above.
"""
