"""What each worker printed: torch's agent writes it to files, and to the pod's log with the rank before each line.

    elastic/RUN_XXXX/attempt_0/0/stdout.log     of local rank 0

The end of each is kept next to the checkpoints: the pod's log is deleted with the pod.
"""

import os
from pathlib import Path
from typing import Final

LINE_PREFIX: Final = "rank ${rank}: "
"""As torch's agent takes it."""
MAX_KEPT_BYTES: Final = 64 * 1024
_STREAMS: Final = ("stdout.log", "stderr.log")


def read_ends(folder: Path) -> dict[int, str]:
    """The end of what each worker of the last start printed, by local rank; what it wrote to stderr comes last."""
    starts = sorted(folder.glob("*/attempt_*"), key=lambda path: path.stat().st_mtime_ns)
    ranks = [path for path in starts[-1].iterdir() if path.name.isdigit()] if starts else []
    return {int(path.name): "".join(_read_end(path / stream) for stream in _STREAMS) for path in ranks}


def _read_end(file: Path) -> str:
    """From the beginning of a line, if the file is longer."""
    try:
        with file.open("rb") as opened:
            skipped = max(0, opened.seek(0, os.SEEK_END) - MAX_KEPT_BYTES // len(_STREAMS))
            opened.seek(skipped)
            text = opened.read().decode(errors="replace")
    except OSError:
        return ""
    return text.partition("\n")[2] if skipped else text
