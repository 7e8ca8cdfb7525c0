"""What all stores share: the interface, URIs, file listings with hashes, atomic files and verified downloads.

Nothing of one store belongs here.
"""
