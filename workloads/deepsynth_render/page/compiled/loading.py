"""The extension module as `core`; None if it is not built, and IS_BUILT is False."""

try:
    from deepsynth_render.page.compiled import _core as core
except ImportError:
    core = None  # type: ignore[assignment]
    IS_BUILT = False
else:
    IS_BUILT = True

__all__ = ["IS_BUILT", "core"]
