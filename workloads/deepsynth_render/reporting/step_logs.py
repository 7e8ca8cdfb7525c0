"""Log lines of a step, as text or JSON.

plan: reading docstrings:// at 212a1d: train, validation
error: spec.source.columns.text: no column 'bodi'; the columns are body, abstract
"""

import logging

from deepsynth_api.logs import configure_logs, render_message
from deepsynth_render.reporting.report import StepName


def configure_step_logs(step: StepName) -> None:
    """Raises ConfigurationError for an unknown format."""
    configure_logs(_StepFormatter(step), own="deepsynth_render", fields=lambda: {"step": step})


class _StepFormatter(logging.Formatter):
    def __init__(self, step: StepName) -> None:
        super().__init__()
        self._step = step

    def format(self, record: logging.LogRecord) -> str:
        who = "error" if record.levelno >= logging.ERROR else self._step
        return f"{who}: {render_message(self, record)}"
