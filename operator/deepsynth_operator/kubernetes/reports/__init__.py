"""Reads the reports of running pods, in the background, with limits per namespace."""
