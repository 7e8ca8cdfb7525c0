"""Which checkpoints to keep. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from deepsynth_train.checkpoint.manifest import CheckpointRecord


@dataclass(frozen=True)
class Retention:
    """spec.checkpoint.keepLast and keepBest."""

    keep_last: int = 3
    keep_best: bool = True


def find_best(records: Sequence[CheckpointRecord]) -> CheckpointRecord | None:
    """The record with the lowest finite score or, if none has one, validation loss; of equal ones, the earlier step."""
    scores = [(record.score, record.step, record) for record in records]
    if all(score is None for score, _, _ in scores):
        scores = [(record.loss, record.step, record) for record in records]
    ranked = [(score, step, record) for score, step, record in scores if score is not None and math.isfinite(score)]
    return min(ranked, key=lambda entry: entry[:2])[2] if ranked else None


def select_expired(records: Sequence[CheckpointRecord], *, keep_last: int, keep_best: bool) -> list[int]:
    """Steps to delete, oldest first: all but the newest `keep_last` (at least one) and, with keep_best, the best.

    With keep_last=2 and keep_best, of steps 1 to 5 with the best at 2: [1, 3].
    """
    newest = sorted((record.step for record in records), reverse=True)[: max(keep_last, 1)]
    best = find_best(records) if keep_best else None
    kept = {*newest, best.step} if best else set(newest)
    return sorted(record.step for record in records if record.step not in kept)
