"""Shortens a report until it fits its channel. Digests, counts and the reason of a failure always stay.

The kubelet cuts a termination message at 4,096 bytes, so it gets 3,500; GET /report may have 64 KiB. In this order:

    samples, checkpoints, notes, messages, metrics of a training run    what matters least
    all lists and texts, step by step                                   sums over a list stay what they are
    the best checkpoint, URIs that are very long                        the operator knows them from the spec or earlier
    what failed attempts said before their workers were restarted       that they were is counted
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from pydantic_core import PydanticSerializationError

from deepsynth_api.report import REPORT_BYTES, Failure, Report, Restart
from deepsynth_api.report_bounds import (
    MAX_FIELD_BYTES,
    MAX_FIELD_ITEMS,
    cut_text,
    fold_columns,
    fold_dropped,
    fold_skipped,
    fold_splits,
    measure_text,
)
from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows, PlannedSplit, ReadColumns, SkippedFiles
from deepsynth_api.v1alpha1.shared.base import ApiModel
from deepsynth_api.v1alpha1.training_run_status import SampleText

Model = TypeVar("Model", bound=ApiModel)

TERMINATION_MESSAGE_BYTES: Final = 3500
_SHORT_SAMPLE_CHARACTERS: Final = 80
_SIZES: Final = ((64, 512), (32, 256), (16, 192), (8, 128), (4, 96), (2, 64), (1, 48), (0, 32))
"""Items of each list, and bytes of each text, from one attempt to the next."""
_IDENTITY_BYTES: Final = 128
_IDENTITIES: Final = frozenset({"digest", "staging", "revision", "sha256", "manifest_sha256", "name", "reason"})
"""Texts that are useless if they are cut; they are short."""
_MAX_URI_BYTES: Final = 1024


def dump_report(report: Report) -> str:
    """`report` as JSON for GET /report, within what the operator reads."""
    return fit_report(report, REPORT_BYTES)


def fit_report(report: Report, limit: int = TERMINATION_MESSAGE_BYTES) -> str:
    """`report` as JSON of at most `limit` bytes, which must be at least TERMINATION_MESSAGE_BYTES."""
    try:
        report.model_dump_json()
    except PydanticSerializationError:
        report = Report.model_validate(_replace_surrogates(report.model_dump(by_alias=True)))
    for cut in _TRAIN_CUTS:
        if _size(report) <= limit:
            break
        report = cut(report)
    whole = report
    for items, size in _SIZES:
        if _size(report) <= limit:
            break
        report = _shrink(whole, items, size)
    for cut in (_drop_best, _drop_long_uris, _bare_restarts):
        if _size(report) <= limit:
            break
        report = cut(report)
    return report.model_dump_json(by_alias=True, exclude_none=True)


def _size(report: Report) -> int:
    return len(report.model_dump_json(by_alias=True, exclude_none=True).encode())


def _shrink(model: Model, items: int, size: int) -> Model:
    """`model` with at most `items` items in each list, and `size` bytes in each text, in all that it holds."""
    return model.model_copy(update={name: _shrink_field(name, value, items, size) for name, value in model})


def _shrink_field(name: str, value: Any, items: int, size: int) -> Any:
    match value:
        case ApiModel():
            return _shrink(value, items, size)
        case list():
            return [_shrink_field(name, item, items, size) for item in _shorten_list(name, value, items)]
        case str() if name != "uri":
            return cut_text(value, _IDENTITY_BYTES if name in _IDENTITIES else size)
    return value


def _shorten_list(name: str, values: Sequence[Any], items: int) -> Sequence[Any]:
    """What is counted is folded, so that the sum stays; of another list the rest is dropped. Restarts are few."""
    counted = max(items, 1)
    if name == "restarts":
        return values[: MAX_FIELD_ITEMS[name]]
    if all(isinstance(value, DroppedRows) for value in values):
        return fold_dropped(values, counted)
    if all(isinstance(value, PlannedSplit) for value in values):
        return fold_splits(values, counted)
    if all(isinstance(value, SkippedFiles) for value in values):
        return fold_skipped(values, counted)
    if all(isinstance(value, ReadColumns) for value in values):
        return fold_columns(values, counted)
    return values[:items]


def _drop_long_uris(model: Model) -> Model:
    def drop(name: str, value: Any) -> Any:
        if isinstance(value, ApiModel):
            return _drop_long_uris(value)
        return "" if name == "uri" and measure_text(value) > _MAX_URI_BYTES else value

    return model.model_copy(update={name: drop(name, value) for name, value in model})


def _clip(failure: Failure | None, limit: int) -> Failure | None:
    """The beginning of the message and the end of the exception, in at most `limit` bytes of JSON each."""
    if failure is None:
        return None
    exception = cut_text(failure.exception[::-1], limit)[::-1] if failure.exception else None
    short = {"message": cut_text(failure.message, limit), "exception": exception}
    return failure.model_copy(update=short | {"reason": failure.reason[: MAX_FIELD_BYTES["reason"]]})


def _replace_surrogates(value: Any) -> Any:
    """Half characters, as Python has them in names of files that are not UTF-8, become question marks."""
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {key: _replace_surrogates(item) for key, item in value.items()}
        case list():
            return [_replace_surrogates(item) for item in value]
    return value


def _update_train(report: Report, **update: object) -> Report:
    if report.train is None:
        return report
    return report.model_copy(update={"train": report.train.model_copy(update=update)})


def _shorten_samples(report: Report) -> Report:
    def cut(sample: SampleText) -> SampleText:
        limit = _SHORT_SAMPLE_CHARACTERS
        return sample.updated(
            name=sample.name[:limit], reference=sample.reference[:limit], written=sample.written[:limit]
        )

    return _update_train(report, samples=[cut(sample) for sample in report.train.samples]) if report.train else report


def _drop_samples(report: Report) -> Report:
    return _update_train(report, samples=[])


def _shorten_checkpoints(report: Report) -> Report:
    return _update_train(report, checkpoints=report.train.checkpoints[:3]) if report.train else report


def _shorten_notes(report: Report) -> Report:
    return _update_train(report, notes=[note[:200] for note in report.train.notes[:3]]) if report.train else report


def _shorten_messages(report: Report) -> Report:
    restarts = [restart.updated(failure=_clip(restart.failure, 200)) for restart in report.restarts]
    clipped = {"failure": _clip(report.failure, 800), "previous": _clip(report.previous, 200), "restarts": restarts}
    return report.model_copy(update=clipped)


def _drop_metrics(report: Report) -> Report:
    return _update_train(report, metrics=[], dropped=[], datasets=[], model=None)


def _bare_restarts(report: Report) -> Report:
    def strip(restart: Restart) -> Restart:
        failure = restart.failure
        bare = Failure(reason=failure.reason, message="", exit_code=failure.exit_code, rank=failure.rank)
        return Restart(failure=bare, time=restart.time)

    restarts = [strip(restart) for restart in report.restarts]
    return report.model_copy(update={"restarts": restarts, "previous": None if restarts else report.previous})


def _drop_best(report: Report) -> Report:
    return _update_train(report, best_checkpoint=None)


_TRAIN_CUTS: Final[tuple[Callable[[Report], Report], ...]] = (
    _shorten_samples,
    _drop_samples,
    _shorten_checkpoints,
    _shorten_notes,
    _shorten_messages,
    _drop_metrics,
)
