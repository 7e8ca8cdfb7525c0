"""What all stores share: the interface, URIs, file listings with hashes, atomic files, verified downloads, and calls of
servers that are repeated until they succeed or are given up.

Nothing of one store belongs here.
"""
