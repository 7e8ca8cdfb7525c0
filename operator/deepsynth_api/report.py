"""What a container reports to the operator: the answer to GET /report, and the termination message at its end.

The kubelet cuts a termination message at 4,096 bytes, so `fit_report` shortens a report field by field until it fits
into 3,500. A termination message that is not a report is shown as plain text.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import Field
from pydantic_core import PydanticSerializationError

from deepsynth_api.report_bounds import MAX_FIELD_BYTES, MAX_ITEMS, bound_report, cut_text, fold_splits
from deepsynth_api.v1alpha1.dataset_generation_status import (
    DroppedRows,
    PlannedSplit,
    ReadColumns,
    SkippedFiles,
    Undrawable,
)
from deepsynth_api.v1alpha1.shared.base import ApiModel, Time
from deepsynth_api.v1alpha1.training_run_status import (
    CheckpointStatus,
    MetricValue,
    ModelOutput,
    PinnedDataset,
    SampleText,
)

TERMINATION_MESSAGE_BYTES: Final = 3500
REPORT_BYTES: Final = 65_536
"""Maximum size of an answer to GET /report; the operator ignores a longer one."""

_SHORT_SAMPLE_CHARACTERS: Final = 80

StepName = Literal["plan", "render", "publish", "train"]
Phase = Literal["download", "start", "step", "evaluate", "save", "publish", "done"]


class Failure(ApiModel):
    """Why a container failed: the root cause, not its consequences."""

    reason: str
    message: str
    exit_code: int
    rank: int | None = None
    local_rank: int | None = None
    node: str | None = None
    exception: str | None = None
    step: int | None = None
    last_heartbeat: Time | None = None
    """Of a hang: when the rank was last heard of, by the clock of its node; of an unknown rank, the oldest there."""
    is_stopped: bool = False
    """Of a hang: the process of the rank cannot run, so it is a cause in any case."""


class PlanReport(ApiModel):
    revision: str = ""
    digest: str = ""
    """Empty until the plan is made."""
    splits: list[PlannedSplit] = Field(default_factory=list)
    shards: int = 0
    rows_read: int = 0
    dropped: list[DroppedRows] = Field(default_factory=list)
    columns: list[ReadColumns] = Field(default_factory=list)
    skipped_files: list[SkippedFiles] = Field(default_factory=list)
    undrawable: Undrawable | None = None
    waiting: str = ""


class RenderReport(ApiModel):
    """Progress of one shard."""

    shard: int
    documents_total: int = 0
    documents: int = 0
    pages: int = 0
    bytes: int = 0
    pages_per_second: float = 0.0
    dropped: list[DroppedRows] = Field(default_factory=list)
    replaced_characters: int = 0
    waiting: str = ""


class PublishReport(ApiModel):
    uri: str
    revision: str = ""
    rows: int = 0
    pages: int = 0
    bytes: int = 0
    manifest_sha256: str = ""
    dropped: list[DroppedRows] = Field(default_factory=list)
    replaced_characters: int = 0
    waiting: str = ""


class TrainReport(ApiModel):
    attempt: int
    phase: Phase = "start"
    step: int = 0
    total_steps: int = 0
    epoch: float = 0.0
    loss: float | None = None
    grad_norm: float | None = None
    learning_rate: float | None = None
    samples_per_second: float | None = None
    pages_per_second: float | None = None
    label_tokens_per_second: float | None = None
    image_tokens_per_page: int | None = None
    data_wait_share: float | None = None
    peak_memory_bytes: int | None = None
    remaining_seconds: float | None = None
    download_bytes: int | None = None
    download_bytes_total: int | None = None
    resumed_from_step: int | None = None
    datasets: list[PinnedDataset] = Field(default_factory=list)
    """With the revisions that are read: branches and folders are resolved to commits and digests."""
    saved_step: int | None = None
    """Newest step in a complete checkpoint."""
    checkpoints: list[CheckpointStatus] = Field(default_factory=list)
    """Newest first."""
    best_checkpoint: CheckpointStatus | None = None
    metrics: list[MetricValue] = Field(default_factory=list)
    samples: list[SampleText] = Field(default_factory=list)
    """Of the last evaluation."""
    dropped: list[DroppedRows] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    """What a user should know, such as a damaged checkpoint that was skipped."""
    output: ModelOutput | None = None
    """The final model, once it is written."""


class Report(ApiModel):
    """What one container says about itself: the part of its step, and its failure if it failed."""

    step: StepName
    time: Time
    plan: PlanReport | None = None
    render: RenderReport | None = None
    publish: PublishReport | None = None
    train: TrainReport | None = None
    failure: Failure | None = None
    previous: Annotated[Failure | None, Field(description="Root cause of the previous attempt's failure.")] = None


def parse_report(text: str | bytes) -> Report | None:
    """Parse a report that came from a pod. Returns None if it is not a valid report, because pods run code of users.

    Texts and lists are cut; with a number or a time that is out of range the report is invalid.
    """
    if len(text) > REPORT_BYTES:
        return None
    try:
        return bound_report(Report.model_validate_json(text))
    except ValueError:  # pydantic's ValidationError is one, and so are the errors of broken Unicode
        return None


def _size(report: Report) -> int:
    return len(report.model_dump_json(by_alias=True, exclude_none=True).encode())


def dump_report(report: Report) -> str:
    """`report` as JSON for GET /report, within what the operator reads."""
    return fit_report(report, REPORT_BYTES)


def fit_report(report: Report, limit: int = TERMINATION_MESSAGE_BYTES) -> str:
    """`report` as JSON of at most `limit` bytes. Long lists and messages are shortened first, counts never."""
    try:
        report.model_dump_json()
    except PydanticSerializationError:
        report = Report.model_validate(_replace_surrogates(report.model_dump(by_alias=True)))
    shortened = report
    for shorten in (
        _shorten_samples,
        _drop_samples,
        _shorten_checkpoints,
        _shorten_notes,
        _shorten_messages,
        _drop_metrics,
    ):
        if _size(shortened) <= limit:
            break
        shortened = shorten(shortened)
    shortened = _fold_splits(shortened, limit)
    text = shortened.model_dump_json(by_alias=True, exclude_none=True)
    if len(text.encode()) > limit:
        text = Report(step=report.step, time=report.time, failure=_clip(shortened.failure, 500)).model_dump_json(
            by_alias=True, exclude_none=True
        )
    return text


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
    return report.model_copy(update={"failure": _clip(report.failure, 800), "previous": _clip(report.previous, 200)})


def _drop_metrics(report: Report) -> Report:
    return _update_train(report, metrics=[], dropped=[], datasets=[])


def _fold_splits(report: Report, limit: int) -> Report:
    """The first splits of a plan as they are, and as many others as necessary as one whose rows are their sum."""
    folded, kept = report, 2 * MAX_ITEMS
    while report.plan and kept > 1 and _size(folded) > limit:
        kept //= 2
        splits = [
            split.updated(name=split.name[: MAX_FIELD_BYTES["name"]]) for split in fold_splits(report.plan.splits, kept)
        ]
        folded = report.model_copy(update={"plan": report.plan.model_copy(update={"splits": splits})})
    return folded
