"""Which checkpoints to keep. Pure."""

import math
from collections.abc import Sequence

from deepsynth_train.checkpoint.manifest import CheckpointRecord


def find_best(records: Sequence[CheckpointRecord]) -> CheckpointRecord | None:
    """The record with the lowest finite validation loss; of equal ones, the earlier step."""
    evaluated = [record for record in records if record.loss is not None and math.isfinite(record.loss)]
    return min(evaluated, key=lambda record: (record.loss, record.step), default=None)


def select_expired(records: Sequence[CheckpointRecord], *, keep_last: int, keep_best: bool) -> list[int]:
    """Steps to delete, oldest first: all but the newest `keep_last` (at least one) and, with keep_best, the best.

    With keep_last=2 and keep_best, of steps 1 to 5 with the best at 2: [1, 3].
    """
    newest = sorted((record.step for record in records), reverse=True)[: max(keep_last, 1)]
    best = find_best(records) if keep_best else None
    kept = {*newest, best.step} if best else set(newest)
    return sorted(record.step for record in records if record.step not in kept)
