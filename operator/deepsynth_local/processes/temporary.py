"""What a pod has on disk while it runs: its folder in pods/, and a folder for temporary files.

    deepsynth-runs/pods/POD/tmp  ->  /tmp/deepsynth-pod-XXXX      TMPDIR of all its processes

Not in pods/ itself: the sockets of Python's processes lie in TMPDIR, and the path of one has at most 107 bytes.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Final

_LINK: Final = "tmp"
_PREFIX: Final = "deepsynth-pod-"


def make_temporary(pod: Path) -> Path:
    """A new folder for the temporary files of the pod with this folder. Raises OSError."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    (pod / _LINK).symlink_to(folder)
    return folder


def remove_pod(pod: Path) -> None:
    """Remove both folders, as far as possible. Its processes must have ended, also those that were killed."""
    link = pod / _LINK
    if link.is_symlink() and (target := link.readlink()).name.startswith(_PREFIX):
        shutil.rmtree(target, ignore_errors=True)
    shutil.rmtree(pod, ignore_errors=True)
