"""The development cluster: a real Kubernetes on one machine without Docker, its programs built from pinned Go modules.

`python -m deepsynth_cluster up|load|down|status` is for users, `clusters.interface` for tests. Nothing in here knows
DeepSynth; README.md draws the parts.
"""
