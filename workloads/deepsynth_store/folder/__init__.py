"""Datasets in a folder: file:// and pvc://. The store of tests, of `deepsynth local` and of clusters without a Hub.

`reading` pins a folder and notices changes; `writing` stages in a hidden folder and publishes by hard links.
"""
