"""Whether a dataset's folder still holds what a generation published.

Another generation may have published there since. An earlier version that publishes there again replaces pages and
manifest, and leaves a list of dropped rows that it does not know.
"""

import hashlib
import json
from collections.abc import Hashable
from pathlib import Path
from typing import Final

from deepsynth_client.report.results import DAMAGE, MAX_BYTES, stamp_files
from deepsynth_client.untrusted_files import read_inside

_MANIFEST: Final = "deepsynth/manifest.json"
_DROPPED: Final = "deepsynth/dropped.parquet"


def explain_foreign_files(folder: Path, manifest_sha256: str) -> str:
    """A sentence about files of another publication; empty if there are none, or the folder has no manifest.

    folder: without a link (`Path.resolve`). manifest_sha256: of status.output.
    """
    try:
        content = read_inside(folder, _MANIFEST, MAX_BYTES)
    except OSError:
        return ""
    if hashlib.sha256(content).hexdigest() != manifest_sha256:
        return "the dataset there is of another publication by now: its pages and lists are not those of this resource"
    expected = None
    try:
        manifest = json.loads(content)
        expected = manifest.get("droppedSha256") if isinstance(manifest, dict) else None
        found = hashlib.sha256(read_inside(folder, _DROPPED, MAX_BYTES)).hexdigest()
    except FileNotFoundError:
        return f"{_DROPPED} is missing: it was deleted after the dataset was published" if expected else ""
    except DAMAGE as error:
        return f"{_DROPPED} cannot be read: {error}"
    if found != expected:
        return f"{_DROPPED} is of another publication or was changed: its sha256 is not that of {_MANIFEST}"
    return ""


def stamp_publication(folder: Path) -> Hashable:
    """Differs when what `explain_foreign_files` reads was written since."""
    return stamp_files(folder, [_MANIFEST, _DROPPED])
