"""Datasets in a folder: file:// and pvc://."""
