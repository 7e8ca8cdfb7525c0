"""Kubernetes on machines: the programs of the control plane and of a node, with their configuration and certificates.

How many machines there are and in which order they start is decided in `clusters`.
"""
