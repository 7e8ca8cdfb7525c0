"""The development cluster: a real Kubernetes on one machine without Docker, its programs built from pinned Go modules.

`python -m deepsynth_cluster up|load|down|status`. Tests use it through `interface`; nothing of DeepSynth is in here.
"""
