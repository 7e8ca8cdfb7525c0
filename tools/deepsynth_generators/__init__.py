"""Files generated from the code: written by `make`, checked for drift by `make check`."""
