"""Which checkpoints to keep. Pure."""

import math
from collections.abc import Sequence

from deepsynth_train.checkpoint.manifest import CheckpointRecord


def find_best(records: Sequence[CheckpointRecord]) -> CheckpointRecord | None:
    """The lowest validation loss; the earlier step when two are equal. A loss that is not finite is never best."""
    evaluated = [record for record in records if record.loss is not None and math.isfinite(record.loss)]
    return min(evaluated, key=lambda record: (record.loss, record.step), default=None)


def select_expired(records: Sequence[CheckpointRecord], *, keep_last: int, keep_best: bool) -> list[int]:
    """Steps to delete, oldest first: all but the newest `keep_last` (at least one) and, if asked, the best."""
    newest = sorted((record.step for record in records), reverse=True)[: max(keep_last, 1)]
    best = find_best(records) if keep_best else None
    kept = {*newest, best.step} if best else set(newest)
    return sorted(record.step for record in records if record.step not in kept)
