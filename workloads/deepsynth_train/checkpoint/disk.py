"""What an error of a disk means while a checkpoint is written."""

import errno
import os
from pathlib import Path
from typing import Final

from deepsynth_api.errors import InternalError, TemporaryError, WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.atomic import free_bytes

_DISK_FULL: Final = f"(os error {errno.ENOSPC})"
"""How safetensors, which write_model uses, ends the text of its own error."""


def explain_disk(error: BaseException, folder: Path) -> BaseException:
    """A full or failing disk as an error that says what to do; any other error unchanged."""
    cause = _find_os_error(error)
    if isinstance(error, WorkloadError) or cause is None:
        return error
    if cause.errno in (errno.ENOTEMPTY, errno.EEXIST):
        return InternalError(f"{cause.filename2 or cause.filename} exists already: two attempts are saving at once")
    what = "the disk is full" if cause.errno in (errno.ENOSPC, errno.EDQUOT) else cause.strerror
    return TemporaryError(
        f"spec.checkpoint.uri: cannot write to {folder}: {what} ({free_bytes(folder):,} bytes free); "
        "free some space or lower spec.checkpoint.keepLast; earlier checkpoints are intact",
        reason=Reason.CHECKPOINT_NOT_SAVED,
    )


def _find_os_error(error: BaseException) -> OSError | None:
    """The first OSError in the chain of causes."""
    if isinstance(error, OSError):
        return error
    if _DISK_FULL in str(error):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return _find_os_error(error.__cause__) if error.__cause__ else None
