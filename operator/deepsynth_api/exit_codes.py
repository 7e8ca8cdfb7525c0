"""Exit codes: the contract between the containers, the Job's podFailurePolicy and the controller.

The values follow sysexits.h where it has a word for the case; 79 is the first free one above it.
"""

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    DONE = 0
    BAD_CONFIGURATION = 64
    """A field, a URI, a missing Secret key: the same document fails again, so it is never retried."""
    BAD_DATA = 65
    """The dataset is empty, lacks a column or is damaged: never retried."""
    PEER_LOST = 69
    """Another node went away or a later attempt took over. Never the root cause of a failure."""
    INTERNAL = 70
    """A check of our own failed: a defect, so it is never retried."""
    TRY_AGAIN = 75
    """The Hub, the network or a disk did not answer: worth another attempt."""
    HUNG = 79
    """The launcher found its workers without a heartbeat."""
    OUT_OF_MEMORY = 137
    """SIGKILL; the pod's reason OOMKilled tells it from a deletion."""
    STOPPED = 143
    """SIGTERM, after saving."""


PERMANENT: Final = (ExitCode.BAD_CONFIGURATION, ExitCode.BAD_DATA, ExitCode.INTERNAL)
"""Exit codes that no further attempt can mend."""
