"""Build the images with the engine that is there, on a base that can be had, into the cache. Not part of the wheel."""
