"""The fonts that the plan step has staged."""

from hashlib import sha256

from deepsynth_api.errors import DataError
from deepsynth_render.documents.render_plan import PageInputs, PinnedFont, font_path
from deepsynth_render.page.fallback import use_fonts
from deepsynth_render.page.fonts import Font
from deepsynth_render.page.own_fonts import open_font
from deepsynth_store import DatasetTarget


def use_planned_fonts(inputs: PageInputs, target: DatasetTarget) -> None:
    """Have this process draw with the fonts of the plan, and with no others of users."""
    use_fonts([_load(font, target) for font in inputs.look.own_fonts])


def _load(pinned: PinnedFont, target: DatasetTarget) -> Font:
    path = font_path(pinned.sha256)
    data = target.get(path)
    if sha256(data).hexdigest() != pinned.sha256:
        raise DataError(f"{path} in staging is damaged: its sha256 differs; delete and re-apply the resource")
    return open_font(pinned.name, data, pinned.face, pinned.axes, f"spec.fonts[{pinned.name}]")
