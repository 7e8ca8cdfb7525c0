"""How much memory a run takes: computed before it starts (`deepsynth fit`), and explained when a GPU is full.

    meter.py      bytes of live tensors while code runs, real tensors or fake ones
    estimate.py   one training step on fake tensors, and its memory by part
    full_gpu.py   what filled a GPU, and which settings make room

Fake tensors have shapes and no data, so the model of a large GPU is estimated on a laptop. No training here.
"""
