"""DeepSynth on a development cluster: `python -m deepsynth_demo` runs the examples there.

`chart` installs DeepSynth and prepares a namespace for users, for the demo and for the tests on a cluster. Clusters and
images come from `deepsynth_cluster` and `deepsynth_images`. Not part of the wheel.
"""
