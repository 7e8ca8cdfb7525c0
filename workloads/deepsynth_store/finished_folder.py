"""A finished folder, such as a trained model, published as it is."""

import hashlib
import json
from pathlib import Path

from deepsynth_store.atomic import compute_sha256
from deepsynth_store.interface import MANIFEST, OnWait
from deepsynth_store.opening import open_target


def publish_folder(
    folder: Path, uri: str, *, private: bool = True, field: str = "publish.uri", on_wait: OnWait | None = None
) -> str:
    """Publish all files of `folder` in one step and return the revision; errors as for DatasetTarget.

    What an earlier call published there and this folder lacks is deleted in that step. Publishing the same again
    changes nothing. A deepsynth/manifest.json with the files' hashes is added.
    """
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files.pop(MANIFEST, None)  # the folder was published before
    listing = [
        {"path": name, "size": path.stat().st_size, "sha256": compute_sha256(path)} for name, path in files.items()
    ]
    manifest = json.dumps({"files": listing}, indent=1).encode()
    target = open_target(uri, hashlib.sha256(manifest).hexdigest(), private=private, field=field, on_wait=on_wait)
    target.prepare()
    return target.publish({}, {**files, MANIFEST: manifest})
