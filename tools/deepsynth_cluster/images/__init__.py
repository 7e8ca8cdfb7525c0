"""Images on the nodes of a bare cluster: `archives` reads and writes image files, `loading` links them into nodes.

Building images is the job of `deepsynth_images`.
"""
