"""Style, script and icon, in memory. Their addresses have a checksum, so that browsers keep them until they change."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final


@dataclass(frozen=True)
class Asset:
    content: bytes
    media_type: str

    @property
    def version(self) -> str:
        return f"{zlib.crc32(self.content):08x}"


def _read(package: str, path: str, media_type: str) -> Asset:
    return Asset(files(package).joinpath(path).read_bytes(), media_type)


ASSETS: Final[Mapping[str, Asset]] = {
    "report.css": _read("deepsynth_client.report", "templates/report.css", "text/css; charset=utf-8"),
    "ui.css": _read("deepsynth_ui", "static/ui.css", "text/css; charset=utf-8"),
    "live.js": _read("deepsynth_ui", "static/live.js", "text/javascript; charset=utf-8"),
    "icon.svg": _read("deepsynth_ui", "static/icon.svg", "image/svg+xml"),
}


def link_asset(name: str) -> str:
    """static/ui.css?v=0123abcd"""
    return f"static/{name}?v={ASSETS[name].version}"
