"""The extension module as `core`, if it is built."""

try:
    from deepsynth_render.page.compiled import _core as core
except ImportError:
    IS_BUILT = False
else:
    IS_BUILT = True

__all__ = ["IS_BUILT", "core"]
