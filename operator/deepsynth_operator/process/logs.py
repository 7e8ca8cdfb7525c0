"""Log lines of the operator as text or JSON, each with the resource that it is about."""

import logging
from collections.abc import Mapping
from typing import Final

from deepsynth_api import logs
from deepsynth_api.logs import LogFormat, escape_controls, format_time, render_message
from deepsynth_operator.controller.controller import current_resource
from deepsynth_operator.process.settings import LogLevel

_NOISY: Final = ("aiohttp.access",)
"""These loggers write a line for every probe."""


def configure_logs(log_format: LogFormat, level: LogLevel) -> None:
    """Send all log lines to the standard error stream."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logs.configure_logs(TextFormatter(), log_format=log_format, level=number, stream="stderr", fields=find_resource)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def find_resource() -> Mapping[str, str]:
    """Kind, namespace and name of the resource that is being reconciled; empty if there is none."""
    key = current_resource.get()
    return {} if key is None else key._asdict()


class TextFormatter(logging.Formatter):
    """2026-01-02T03:04:05.678Z WARNING TrainingRun ns/name: message"""

    def format(self, record: logging.LogRecord) -> str:
        key, message = current_resource.get(), render_message(self, record)
        where = "" if key is None or message.startswith(str(key)) else f"{key}: "
        return escape_controls(f"{format_time(record.created)} {record.levelname} {where}{message}")
