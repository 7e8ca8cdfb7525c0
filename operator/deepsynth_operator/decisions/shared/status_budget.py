"""A status has a budget that no report of a pod can exceed: the least important parts are cut until it fits.

Single fields are bounded by `deepsynth_api.report_bounds` and by the MAX_ constants of decisions. Together they could
still be many times the budget, so each kind lists here what to give up, least important first. Counts, outcomes and
the pinned inputs stay.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from pydantic_core import to_json

from deepsynth_api.report_bounds import cut_text, fold_columns, fold_dropped, fold_splits
from deepsynth_api.v1alpha1 import Condition, DatasetGenerationStatus, TrainingRunStatus
from deepsynth_operator.decisions.shared.decision import Status

MAX_STATUS_BYTES: Final = 65_536
_SHORT_BYTES: Final = 200
_SHORT_CONDITION_BYTES: Final = 512
_ESCAPED: Final = tuple(character.encode() for character in "<>&\u2028\u2029")
"""The API server writes each of these as six bytes, such as \\u003c."""

Entry = TypeVar("Entry", bound=Any)


def fit_run_status(status: TrainingRunStatus) -> TrainingRunStatus:
    """`status` within MAX_STATUS_BYTES."""
    return _fit(status, _RUN_CUTS)


def fit_generation_status(status: DatasetGenerationStatus) -> DatasetGenerationStatus:
    """`status` within MAX_STATUS_BYTES."""
    return _fit(status, _GENERATION_CUTS)


def measure_status(status: DatasetGenerationStatus | TrainingRunStatus) -> int:
    """Bytes of the status as the API server stores it, or a few more: fractions of a second are counted.

    To write each time in whole seconds would take most of the time, and every decision measures its status.
    """
    text = to_json(status.model_dump(by_alias=True, exclude_none=True))
    return len(text) + 5 * sum(map(text.count, _ESCAPED))


def _fit(status: Status, cuts: Sequence[Callable[[Status], Status]]) -> Status:
    for cut in cuts:
        if measure_status(status) <= MAX_STATUS_BYTES:
            break
        status = cut(status)
    return status


def _shorten(entries: Sequence[Entry], limit: int) -> list[Entry]:
    """Entries with a message, each message cut to `limit` bytes."""
    return [entry.updated(message=cut_text(entry.message, limit)) for entry in entries]


def _shorten_all(entries: Sequence[Entry], limit: int) -> list[Entry]:
    """Attempts or Jobs, their messages and obstacles cut to `limit` bytes each."""
    return [entry.updated(obstacle=cut_text(entry.obstacle, limit)) for entry in _shorten(entries, limit)]


def _shorten_conditions(conditions: Sequence[Condition]) -> list[Condition]:
    return _shorten(conditions, _SHORT_CONDITION_BYTES)


def _fold_progress(status: Status, limit: int) -> Status:
    if status.progress is None:
        return status
    progress: Any = status.progress
    return status.updated(progress=progress.updated(dropped=fold_dropped(progress.dropped, limit)))


def _fold_plan(status: DatasetGenerationStatus, limit: int) -> DatasetGenerationStatus:
    plan = status.plan
    if plan is None:
        return status
    folded = plan.updated(
        splits=fold_splits(plan.splits, limit),
        dropped=fold_dropped(plan.dropped, limit),
        columns=fold_columns(plan.columns, limit),
    )
    return status.updated(plan=folded)


def _shorten_images(entries: Sequence[Entry]) -> list[Entry]:
    """Cut the image of all attempts or Jobs but the last, whose Job may still have to be created."""
    return [*(entry.updated(image=cut_text(entry.image, _SHORT_BYTES)) for entry in entries[:-1]), *entries[-1:]]


def _forget_avoided(status: TrainingRunStatus) -> TrainingRunStatus:
    """The last attempt keeps its nodes: its Job may still have to be created."""
    earlier = [attempt.updated(avoided_nodes=None) for attempt in status.attempts[:-1]]
    return status.updated(attempts=[*earlier, *status.attempts[-1:]])


def _shorten_summary(status: TrainingRunStatus) -> TrainingRunStatus:
    if status.summary is None:
        return status
    columns = {name: cut_text(text, _SHORT_BYTES) for name, text in status.summary.__dict__.items()}
    return status.updated(summary=status.summary.updated(**columns))


def _drop_old_checkpoints(status: TrainingRunStatus, kept: int) -> TrainingRunStatus:
    return status.updated(checkpoints=status.checkpoints[:kept])


def _shorten_history(status: TrainingRunStatus, fields: int) -> TrainingRunStatus:
    """All entries stay: they say which attempts count. Each shows fewer fields."""
    return status.updated(history=[entry.updated(changes=entry.changes[:fields]) for entry in status.history])


_RUN_CUTS: Final[tuple[Callable[[TrainingRunStatus], TrainingRunStatus], ...]] = (
    lambda status: status.updated(samples=[]),
    lambda status: _shorten_history(status, 4),
    lambda status: status.updated(notes=status.notes[-3:]),
    lambda status: _drop_old_checkpoints(status, 5),
    lambda status: status.updated(metrics=status.metrics[:10]),
    _forget_avoided,
    lambda status: status.updated(attempts=_shorten_all(status.attempts, _SHORT_BYTES)),
    lambda status: status.updated(conditions=_shorten_conditions(status.conditions)),
    lambda status: _fold_progress(status, 8),
    lambda status: _drop_old_checkpoints(status, 1),
    lambda status: status.updated(notes=[], metrics=[]),
    lambda status: status.updated(attempts=_shorten_images(status.attempts)),
    _shorten_summary,
    lambda status: _shorten_history(status, 0),
)


def _shorten_jobs(status: DatasetGenerationStatus, limit: int) -> DatasetGenerationStatus:
    """Also that of the Job that renders ahead. The last entry says why a generation failed, so it keeps some text."""
    jobs = [*_shorten_all(status.jobs[:-1], limit), *_shorten_all(status.jobs[-1:], _SHORT_BYTES)]
    ahead = status.ahead
    if ahead is not None and ahead.job is not None:
        status = status.updated(ahead=ahead.updated(job=_shorten_all([ahead.job], _SHORT_BYTES)[0]))
    return status.updated(jobs=jobs)


def _drop_examples(status: DatasetGenerationStatus) -> DatasetGenerationStatus:
    plan = status.plan
    if plan is None:
        return status
    return status.updated(plan=plan.updated(skipped_files=[entry.updated(examples=[]) for entry in plan.skipped_files]))


_GENERATION_CUTS: Final[tuple[Callable[[DatasetGenerationStatus], DatasetGenerationStatus], ...]] = (
    _drop_examples,
    lambda status: _shorten_jobs(status, _SHORT_BYTES),
    lambda status: _fold_progress(status, 16),
    lambda status: _fold_plan(status, 16),
    lambda status: status.updated(conditions=_shorten_conditions(status.conditions)),
    lambda status: status.updated(jobs=_shorten_images(status.jobs)),
    lambda status: _shorten_jobs(status, 0),
)
