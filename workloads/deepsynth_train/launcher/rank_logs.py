"""What each worker printed: torch's agent writes it to files, and to the pod's log with the rank before each line.

    elastic/RUN_XXXX/attempt_0/0/stdout.log     of local rank 0
    rank 0: step 1/2: loss 5.92                 in the pod's log
    {"time": ..., "rank": 0, "message": "step 1/2: loss 5.92"}     the same with JSON

The end of each is kept next to the checkpoints: the pod's log is deleted with the pod.
"""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO, cast

from deepsynth_api.logs import dump_record, parse_record, read_log_format

LINE_PREFIX: Final = "rank ${rank}: "
"""As torch's agent takes it."""
MAX_KEPT_BYTES: Final = 64 * 1024
_STREAMS: Final = ("stdout.log", "stderr.log")
_OF_A_RANK: Final = re.compile(r"rank (\d+): ")


@contextmanager
def logged_ranks() -> Iterator[None]:
    """With JSON, let what torch's agent prints of the workers be records with the field `rank`."""
    if read_log_format() == "text":
        yield
        return
    streams = RankRecords(sys.stdout, "info"), RankRecords(sys.stderr, "warning")
    try:
        with redirect_stdout(cast("TextIO", streams[0])), redirect_stderr(cast("TextIO", streams[1])):
            yield
    finally:
        for stream in streams:
            stream.finish()


class RankRecords(io.TextIOBase):
    """Takes lines, or parts of lines, with LINE_PREFIX before each, and writes records to `stream`.

    level: of lines that are not records yet, such as those of libraries.
    """

    def __init__(self, stream: TextIO, level: str) -> None:
        self._stream, self._level = stream, level
        self._unfinished: dict[int, str] = {}

    def write(self, text: str) -> int:
        found = _OF_A_RANK.match(text)
        if found is None:
            self._stream.write(text)
            return len(text)
        rank = int(found[1])
        *lines, rest = (self._unfinished.get(rank, "") + text[found.end() :]).split("\n")
        self._unfinished[rank] = rest
        for line in filter(None, lines):
            self._write_line(rank, line)
        return len(text)

    def finish(self) -> None:
        """Write what a worker that was killed had not finished."""
        for rank, line in self._unfinished.items():
            if line:
                self._write_line(rank, line)
        self._unfinished.clear()

    def _write_line(self, rank: int, line: str) -> None:
        now = datetime.now(UTC).timestamp()
        is_record = parse_record(line) is not None  # has the rank already, and is checked by the stream
        record = line if is_record else dump_record(now, self._level, "output", line, {"rank": rank})
        self._stream.write(f"{record}\n")


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
