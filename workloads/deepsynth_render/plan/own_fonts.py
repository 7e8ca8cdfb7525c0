"""The files of spec.fonts: read once, by the plan step, which stages them for the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_api.v1alpha1.settings.font_settings import FontSource
from deepsynth_render.documents.render_plan import PinnedFont
from deepsynth_render.page.fonts import FAMILIES, Font, list_used
from deepsynth_render.page.own_fonts import MAX_FONT_BYTES, check_font, open_font, read_names
from deepsynth_render.sources.files import SourceFiles, open_files
from deepsynth_store import OnWait, StoredFile

_SUFFIXES: Final = (".ttf", ".otf", ".ttc", ".otc")
_MAX_NAMED: Final = 5


@dataclass(frozen=True)
class FetchedFont:
    """A font and what the plan says about it."""

    font: Font
    pinned: PinnedFont


def fetch_fonts(fonts: Sequence[FontSource], on_wait: OnWait | None = None) -> list[FetchedFont]:
    """Read and check the files of spec.fonts, in order. Raises ConfigurationError that names the field."""
    return [_fetch(font, f"spec.fonts[{number}]", on_wait) for number, font in enumerate(fonts)]


def check_families(page: PageSettings) -> None:
    """Raise ConfigurationError for a family that is neither bundled nor in use."""
    for number, family in enumerate(page.font_families):
        if family not in FAMILIES and family not in list_used():
            raise ConfigurationError(
                f"spec.page.fontFamilies[{number}]: must be {', '.join(FAMILIES)} or the name of one of spec.fonts, "
                f"got {family!r}"
            )


def _fetch(asked: FontSource, field: str, on_wait: OnWait | None) -> FetchedFont:
    files = open_files(asked.uri, asked.revision, on_wait, f"{field}.uri")
    file = _choose_file(files, asked.path, field)
    data = _read(files, file, field)
    font = open_font(
        asked.name, data, asked.face, {tag: float(value) for tag, value in sorted(asked.axes.items())}, field
    )
    check_font(font, field)
    names = read_names(font)
    pinned = PinnedFont(
        name=asked.name,
        uri=asked.uri,
        revision=files.revision,
        path=file.path,
        sha256=sha256(data).hexdigest(),
        size=len(data),
        face=asked.face,
        axes=font.variation,
        license=names.license,
        license_url=names.license_url,
        copyright=names.copyright,
        version=names.version,
    )
    return FetchedFont(font, pinned)


def _choose_file(files: SourceFiles, path: str | None, field: str) -> StoredFile:
    fonts = [file for file in files.list_files() if PurePosixPath(file.path).suffix.lower() in _SUFFIXES]
    found = [file for file in fonts if path in {None, file.path}]
    if len(found) == 1:
        return found[0]
    if not fonts:
        raise ConfigurationError(f"{field}.uri: {files.uri} holds no {', '.join(_SUFFIXES)} file; use another one")
    named = ", ".join(file.path for file in fonts[:_MAX_NAMED]) + (", ..." if len(fonts) > _MAX_NAMED else "")
    raise ConfigurationError(
        f"{field}.path: must be one of the {len(fonts)} font files of {files.uri} ({named}), got {path or 'none'}"
    )


def _read(files: SourceFiles, file: StoredFile, field: str) -> bytes:
    with files.open(file.path) as opened:
        data = opened.read(MAX_FONT_BYTES + 1)
    if len(data) > MAX_FONT_BYTES:
        raise ConfigurationError(
            f"{field}: a font must have at most {MAX_FONT_BYTES:,} bytes, got {file.size:,} ({file.path}); "
            "use a smaller one, such as that of a single language"
        )
    return data
