"""Build the container images with the engine of this machine into the cache. Not part of the wheel.

`recipe` says what an image is made of. Running images is not the job of this package.
"""
