"""Comparing texts: what the renderer and the trainer both need to know of a text.

How a text is drawn belongs to `deepsynth_render`, how it becomes tokens to `deepsynth_train`.
"""
