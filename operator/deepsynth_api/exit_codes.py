"""Exit codes of the containers. The Job's podFailurePolicy and the operator act on them.

The values are those of sysexits.h where it has one for the case. 79 is the first free value above its range.
"""

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    DONE = 0
    """All work is done and saved."""
    BAD_CONFIGURATION = 64
    """A wrong field or URI, or a missing key of a Secret. Never retried, because it would fail again."""
    BAD_DATA = 65
    """The dataset is empty, damaged or lacks a column. Never retried, because it would fail again."""
    PEER_LOST = 69
    """Another node is gone, or a later attempt took over. Never the root cause of a failure."""
    INTERNAL = 70
    """An internal check failed, which is a defect. A TrainingRun does not retry it; a DatasetGeneration does."""
    TRY_AGAIN = 75
    """The Hub, the network or a disk did not answer. Another attempt may succeed."""
    HUNG = 79
    """The launcher stopped workers that sent no heartbeat."""
    OUT_OF_MEMORY = 137
    """SIGKILL: out of memory if the container's reason is OOMKilled, otherwise a deletion."""
    STOPPED = 143
    """SIGTERM, after the work was saved."""


PERMANENT: Final = (ExitCode.BAD_CONFIGURATION, ExitCode.BAD_DATA, ExitCode.INTERNAL)
"""Exit codes after which another attempt would fail in the same way."""
