"""spec.backoffLimit, and what else decides whether there is another attempt, and when."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.exit_codes import PERMANENT
from deepsynth_api.v1alpha1 import Attempt, TrainingRun, TrainingRunStatus

MAX_ATTEMPTS_WITHOUT_PROGRESS: Final = 10
BASE_DELAY_SECONDS: Final = 10
MAX_DELAY_SECONDS: Final = 600
MAX_START_DELAY_SECONDS: Final = 120
NON_FINITE_LOSS: Final = "NonFiniteLoss"
_NEVER_STARTS: Final = frozenset({"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"})
"""What no other pod can mend either. A registry that does not answer is not among them: that passes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a resource failed for good."""

    reason: str
    message: str


def find_verdict(run: TrainingRun, status: TrainingRunStatus) -> Verdict | None:
    """Why there is no further attempt after the last one, which is over; None when there is."""
    last = status.attempts[-1]
    cause = describe_attempt(last)
    if last.outcome == "Failed" and last.exit_code in PERMANENT:
        return Verdict(last.reason, f"{cause}; another attempt would fail in the same way")
    if last.outcome == "Failed" and last.exit_code is None and last.reason in _NEVER_STARTS:
        return Verdict(last.reason, f"{cause}; create what is missing, then delete the run and apply it again")
    if _is_repeated_non_finite_loss(status):
        remedy = "lower optimizer.learningRate, or set onNonFinite: skip"
        return Verdict(NON_FINITE_LOSS, f"the loss was not finite twice at step {last.failed_step}; {remedy}")
    if status.failures > run.spec.backoff_limit:
        return Verdict("BackoffLimitExceeded", f"{status.failures} failures; {cause}")
    if status.attempts_without_progress >= MAX_ATTEMPTS_WITHOUT_PROGRESS:
        count = status.attempts_without_progress
        return Verdict("NoProgress", f"{count} attempts in a row ended without a new checkpoint; {cause}")
    return None


def describe_attempt(attempt: Attempt) -> str:
    """One line on how an attempt ended: `attempt 2 Failed: OutOfMemory (rank 3, node n1, exit code 137): ...`."""
    details = [
        f"rank {attempt.rank}" if attempt.rank is not None else "",
        f"node {attempt.node}" if attempt.node else "",
        f"exit code {attempt.exit_code}" if attempt.exit_code is not None else "",
    ]
    place = ", ".join(detail for detail in details if detail)
    where = f" ({place})" if place else ""
    message = f": {attempt.message}" if attempt.message else ""
    return f"attempt {attempt.number} {attempt.outcome}: {attempt.reason}{where}{message}"


def compute_due_time(run: TrainingRun, status: TrainingRunStatus) -> datetime:
    """When the attempt after the last one, which is over, may start."""
    last = status.attempts[-1]
    end = last.end_time or last.start_time
    if last.outcome == "Suspended":
        return end
    doublings = min(max(status.attempts_without_progress - 1, 0), 10)
    delay = min(BASE_DELAY_SECONDS * 2**doublings, MAX_DELAY_SECONDS)
    if last.outcome == "Disrupted" and last.reason == "NotStarted":
        delay += int(_draw(run, last) * MAX_START_DELAY_SECONDS)
    return end + timedelta(seconds=delay)


def _draw(run: TrainingRun, attempt: Attempt) -> float:
    """A number in [0, 1) that differs between runs, so that two gangs that block each other do not retry together.

    Drawn from the uid and not at random: the decision stays a function of what it sees.
    """
    digest = hashlib.sha256(f"{run.metadata.uid}/{attempt.number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def _is_repeated_non_finite_loss(status: TrainingRunStatus) -> bool:
    last, *earlier = reversed(status.attempts)
    return last.reason == NON_FINITE_LOSS and any(
        attempt.reason == NON_FINITE_LOSS and attempt.failed_step == last.failed_step for attempt in earlier
    )
