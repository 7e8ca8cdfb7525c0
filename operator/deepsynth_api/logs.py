"""Log lines of every process: text, or where DEEPSYNTH_LOG_FORMAT is json, one JSON object per line.

    {"time": "2026-01-02T03:04:05.678Z", "level": "info", "logger": "deepsynth_render", "message": "...", ...}

Messages contain text of pods and of users. So a JSON record is always one line, and control characters, which could
forge lines or move the cursor of a terminal, are escaped.
"""

import io
import json
import logging
import math
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, BinaryIO, Final, Literal, TextIO, cast

from deepsynth_api.errors import ConfigurationError

LOG_FORMAT_VARIABLE: Final = "DEEPSYNTH_LOG_FORMAT"
LogFormat = Literal["text", "json"]
FIELDS: Final = "fields"
"""Attribute of a LogRecord: more fields of its JSON object, as in logger.info("...", extra={FIELDS: {"rank": 0}})."""
_BREAKS: Final = re.compile(r"[\r\n]+")


def read_log_format(environment: Mapping[str, str] = os.environ) -> LogFormat:
    """Raises ConfigurationError for an unknown format."""
    text = environment.get(LOG_FORMAT_VARIABLE, "text")
    if text == "text":
        return "text"
    if text == "json":
        return "json"
    raise ConfigurationError(f"{LOG_FORMAT_VARIABLE}: must be one of text, json, got {text!r}")


def configure_logs(
    text: logging.Formatter,
    *,
    log_format: LogFormat | None = None,
    own: str = "",
    level: int = logging.INFO,
    stream: Literal["stdout", "stderr"] = "stdout",
    fields: Callable[[], Mapping[str, Any]] = dict,
) -> None:
    """Send log records and warnings of this process to `stream`, as `text` or as JSON with `fields`.

    log_format: that of the environment by default. own: name of the logger whose records are shown from `level` on;
    others then only from warnings on. Default: all. With JSON, what anything else prints becomes records as well, line
    by line. Raises ConfigurationError for an unknown format; what is logged afterwards is text. Characters that the
    encoding of the streams lacks are escaped; JSON is always UTF-8.
    """
    handler = _Handler(stream)
    _set_encoding(errors="backslashreplace")
    handler.setFormatter(text)
    logging.basicConfig(level=logging.WARNING if own else level, handlers=[handler], force=True)
    if own:
        logging.getLogger(own).setLevel(level)
    logging.captureWarnings(capture=True)
    if (log_format or read_log_format()) == "json":
        handler.setFormatter(JsonFormatter(fields))
        _set_encoding(encoding="utf-8", errors="backslashreplace")
        sys.stdout = cast("TextIO", JsonLines(sys.stdout, "info", fields))
        sys.stderr = cast("TextIO", JsonLines(sys.stderr, "warning", fields))
        sys.excepthook = _log_exception
        threading.excepthook = _log_thread_exception


class JsonFormatter(logging.Formatter):
    """One JSON object per line. fields: more of its fields, at the time of each record."""

    def __init__(self, fields: Callable[[], Mapping[str, Any]] = dict) -> None:
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        fields = {**self._fields(), **getattr(record, FIELDS, {})}
        return dump_record(record.created, record.levelname.lower(), record.name, render_message(self, record), fields)


class JsonLines(io.TextIOBase):
    """A text stream in place of `stream`: each line that is printed becomes a record; a record stays as it is."""

    def __init__(self, stream: TextIO, level: str, fields: Callable[[], Mapping[str, Any]] = dict) -> None:
        self.stream: TextIO = stream.stream if isinstance(stream, JsonLines) else stream
        self._level, self._fields = level, fields
        self._unfinished: dict[threading.Thread, str] = {}
        self._lock = threading.RLock()  # a signal handler may print while its thread holds it

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding

    @property
    def buffer(self) -> BinaryIO:
        """What is written here becomes no record."""
        return self.stream.buffer

    def reconfigure(self, **options: Any) -> None:
        """As that of the stream, for libraries that expect it; the encoding stays that of JSON."""
        if isinstance(self.stream, io.TextIOWrapper):
            self.stream.reconfigure(**{name: options[name] for name in options.keys() - {"encoding", "errors"}})

    def write(self, text: str) -> int:
        thread = threading.current_thread()
        with self._lock:
            *lines, rest = _BREAKS.split(self._unfinished.pop(thread, "") + text)
            if rest:
                self._unfinished[thread] = rest
        for line in filter(None, lines):
            self._write_line(line)
        return len(text)

    def flush(self) -> None:
        """Also what threads that have ended left without a line end."""
        current = threading.current_thread()
        with self._lock:
            over = [thread for thread in self._unfinished if thread is current or not thread.is_alive()]
            rests = [self._unfinished.pop(thread) for thread in over]
        for rest in rests:
            self._write_line(rest)
        if not self.stream.closed:  # as when the interpreter ends
            self.stream.flush()

    def _write_line(self, line: str) -> None:
        record = parse_record(line)
        if record is None:
            now = datetime.now(UTC).timestamp()
            text = dump_record(now, self._level, "output", line, self._fields())
        else:
            text = _dump(record)
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def fileno(self) -> int:
        return self.stream.fileno()

    def writable(self) -> bool:
        return True


def parse_record(line: str) -> dict[str, Any] | None:
    """The object of a JSON record; None for any other line, also with NaN or Infinity, which JSON does not have."""
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line, parse_float=_parse_finite, parse_constant=_parse_finite)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and {"time", "message"} <= record.keys() else None


def _parse_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"must be finite, got {text}")
    return number


def dump_record(seconds: float, level: str, logger: str, message: str, fields: Mapping[str, Any] | None = None) -> str:
    """A line of JSON. seconds: since the epoch. A field with a number that JSON does not have becomes text."""
    head = {"time": format_time(seconds), "level": level, "logger": logger}
    try:
        return _dump({**head, **(fields or {}), "message": message})
    except ValueError:
        return _dump({**head, **{name: str(value) for name, value in (fields or {}).items()}, "message": message})


def format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def render_message(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """With the traceback, if there is one."""
    trace = f"\n{formatter.formatException(record.exc_info)}" if record.exc_info else ""
    return record.getMessage() + trace


def escape_controls(text: str, form: str = "") -> str:
    """`text` in one line, without characters that are not shown. form: how to write their code; default: Python's."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character, form) for character in text)


def _escape(character: str, form: str) -> str:
    # JSON needs two escapes for a character beyond 16 bits, and json.dumps knows them.
    if form and ord(character) > 0xFFFF:
        return json.dumps(character)[1:-1]
    return form.format(ord(character)) if form else character.encode("unicode_escape").decode()


def _dump(record: Mapping[str, Any]) -> str:
    # JSON escapes only the first 32 of the control characters.
    return escape_controls(json.dumps(record, ensure_ascii=False, allow_nan=False, default=str), "\\u{:04x}")


def _set_encoding(*, errors: str, encoding: str | None = None) -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors=errors)


def _log_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("uncaught").critical("the process ends with an error", exc_info=(kind, error, trace))


def _log_thread_exception(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_type is SystemExit or ended.exc_value is None:  # as Python's own hook
        return
    name = ended.thread.name if ended.thread is not None else "unknown"
    error = (ended.exc_type, ended.exc_value, ended.exc_traceback)
    logging.getLogger("uncaught").error("thread %s ends with an error", name, exc_info=error)


class _Handler(logging.Handler):
    """Writes to what is sys.stdout or sys.stderr at the time, so that tests may replace them."""

    def __init__(self, name: Literal["stdout", "stderr"]) -> None:
        super().__init__()
        self._stream = name

    def emit(self, record: logging.LogRecord) -> None:
        try:
            stream: TextIO | JsonLines = getattr(sys, self._stream)
            if isinstance(stream, JsonLines):
                stream = stream.stream
            stream.write(f"{self.format(record)}\n")
            stream.flush()
        except Exception:  # noqa: BLE001 - a log line must not end the process, as in logging's own handlers
            self.handleError(record)
