"""Log lines of the launcher, as text or JSON. Those of the workers: see rank_logs.py.

launcher: attempt 2 starts in the same pods in 3 s
local rank 1: Thread 0x00007f3c (most recent call first):
"""

import logging
from collections.abc import Mapping
from typing import Final

from deepsynth_api.logs import FIELDS, configure_logs, render_message

_LOCAL_RANK: Final = "localRank"
_logger = logging.getLogger("deepsynth_train.launcher")


def configure_launcher_logs() -> None:
    """Raises ConfigurationError for an unknown format."""
    configure_logs(_LauncherFormatter(), own="deepsynth_train")


def log_stacks(stacks: Mapping[int, str]) -> None:
    """stacks: by local rank."""
    for local_rank, stack in stacks.items():
        _logger.warning(stack, extra={FIELDS: {_LOCAL_RANK: local_rank}})


class _LauncherFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        local_rank = getattr(record, FIELDS, {}).get(_LOCAL_RANK)
        who = "launcher" if local_rank is None else f"local rank {local_rank}"
        return "\n".join(f"{who}: {line}" for line in render_message(self, record).splitlines())
