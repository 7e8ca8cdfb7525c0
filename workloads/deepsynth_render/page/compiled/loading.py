"""The extension module as `core`; None if it is not built, and IS_BUILT is False.

Raises ImportError if it was built from other C files than those next to it, as in a checkout after `git pull`.
"""

from deepsynth_render.page.compiled.build import EXTENSION, compute_digest

try:
    from deepsynth_render.page.compiled import _core as core
except ImportError:
    core = None  # type: ignore[assignment]
    IS_BUILT = False
else:
    IS_BUILT = True
    if compute_digest() != core.SOURCES:
        raise ImportError(f"{EXTENSION} was built from other C files; run `make setup`, or build.py next to it")

__all__ = ["IS_BUILT", "core"]
