"""Log lines as text or JSON, each with the resource that it is about.

Messages contain text of pods and of users. So a record is always one line, and control characters, which could forge
lines or move the cursor of a terminal, are escaped as in a string of Python or JSON.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from deepsynth_operator.controller.controller import current_resource
from deepsynth_operator.process.settings import LogFormat, LogLevel

_NOISY: Final = ("aiohttp.access",)
"""These loggers write a line for every probe."""


def configure_logs(log_format: LogFormat, level: LogLevel) -> None:
    """Send all log lines to the standard error stream."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


class TextFormatter(logging.Formatter):
    """2026-01-02T03:04:05.678Z WARNING TrainingRun ns/name: message"""

    def format(self, record: logging.LogRecord) -> str:
        key, message = current_resource.get(), _render(self, record)
        where = "" if key is None or message.startswith(str(key)) else f"{key}: "
        return escape_controls(f"{_format_time(record)} {record.levelname} {where}{message}")


class JsonFormatter(logging.Formatter):
    """One JSON object per line, with the resource in fields.

    {"time": "2026-01-02T03:04:05.678Z", "level": "warning", "logger": "...", "kind": "TrainingRun", "namespace": "ns",
     "name": "read-xsum", "message": "..."}
    """

    def format(self, record: logging.LogRecord) -> str:
        key = current_resource.get()
        line: dict[str, Any] = {"time": _format_time(record), "level": record.levelname.lower(), "logger": record.name}
        line |= key._asdict() if key is not None else {}
        # JSON escapes only the first 32 of the control characters.
        return escape_controls(json.dumps({**line, "message": _render(self, record)}, ensure_ascii=False), "\\u{:04x}")


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


def _format_time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _render(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    trace = f"\n{formatter.formatException(record.exc_info)}" if record.exc_info else ""
    return record.getMessage() + trace
