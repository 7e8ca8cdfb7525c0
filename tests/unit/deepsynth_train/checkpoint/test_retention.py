import math
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from deepsynth_train.checkpoint.manifest import CheckpointRecord
from deepsynth_train.checkpoint.retention import find_best, select_expired


def record(step: int, loss: float | None = None) -> CheckpointRecord:
    return CheckpointRecord(step, f"file:///c/step-{step}", datetime.now(UTC), 1, "0" * 64, loss)


RECORDS = st.dictionaries(st.integers(0, 50), st.none() | st.floats(0, 10)).map(
    lambda losses: [record(step, loss) for step, loss in losses.items()]
)


def test_the_newest_and_the_best_are_kept() -> None:
    records = [record(1, 2.0), record(2, 1.0), record(3, 3.0), record(4), record(5)]
    assert select_expired(records, keep_last=2, keep_best=True) == [1, 3]
    assert select_expired(records, keep_last=2, keep_best=False) == [1, 2, 3]


def test_the_earlier_of_two_equal_losses_is_the_best() -> None:
    best = find_best([record(2, 1.0), record(1, 1.0), record(3)])
    assert best is not None
    assert best.step == 1


def test_a_checkpoint_without_a_validation_loss_is_never_the_best() -> None:
    assert find_best([record(1), record(2)]) is None


@given(RECORDS, st.integers(1, 5), st.booleans())
def test_the_kept_checkpoints_include_the_newest_and_the_best(
    records: list[CheckpointRecord], keep_last: int, keep_best: bool
) -> None:
    expired = select_expired(records, keep_last=keep_last, keep_best=keep_best)
    kept = {entry.step for entry in records} - set(expired)
    best = find_best(records)
    assert kept.issuperset(sorted((entry.step for entry in records), reverse=True)[:keep_last])
    assert not (keep_best and best) or best.step in kept
    assert len(kept) <= keep_last + keep_best


def test_a_loss_that_is_not_finite_is_never_the_best_and_displaces_no_good_checkpoint() -> None:
    records = [record(4, math.nan), record(3, -math.inf), record(2, 4.0), record(1, 5.0)]
    best = find_best(records)
    assert best is not None
    assert best.step == 2
    assert select_expired(records, keep_last=1, keep_best=True) == [1, 3]
    assert find_best(records[:2]) is None


def test_a_score_ranks_before_the_loss() -> None:
    records = [replace(record(3, 1.0), score=0.4), replace(record(2, 2.0), score=0.3), record(1, 0.1)]
    best = find_best(records)
    assert best is not None
    assert best.step == 2, "step 1 has no score, so its loss says nothing"
