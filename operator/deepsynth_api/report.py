"""What a container reports to the operator: the answer to GET /report, and the termination message at its end.

`report_fit.py` shortens a report to what its channel takes. A termination message that is not a report is shown as
plain text.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from deepsynth_api.report_bounds import bound_report
from deepsynth_api.v1alpha1.dataset_generation_status import (
    DroppedRows,
    PageDensity,
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

WARNING: Final = "warning: "
"""How a note begins that needs attention; others only say what was done."""
REPORT_BYTES: Final = 65_536
"""Maximum size of an answer to GET /report; the operator ignores a longer one."""

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


class Restart(ApiModel):
    """An attempt that failed, and after which the launchers started the workers again in the same pods.

    The attempt after it is the next one of the run: it has a number of its own, and no Job of its own.
    """

    failure: Failure
    time: Time
    """When the attempt failed."""
    step: int | None = None
    """The last optimizer step that it did."""
    resumed_from_step: int | None = None
    saved_step: int | None = None
    """Newest step in a complete checkpoint then."""
    saved_time: Time | None = None


class PlanReport(ApiModel):
    revision: str = ""
    digest: str = ""
    """Empty until the plan is made."""
    staging: str = ""
    """sha256 that names the staging folder; empty if it is that of the plan."""
    staged_shards: int = 0
    """Shards that can be rendered while the plan is being made."""
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
    density: PageDensity | None = None
    dropped: list[DroppedRows] = Field(default_factory=list)
    dropped_path: str = ""
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
    step_seconds: float | None = None
    """Time in optimizer steps so far, without evaluations and saves."""
    evaluation_seconds: float | None = None
    download_bytes: int | None = None
    download_bytes_total: int | None = None
    resumed_from_step: int | None = None
    datasets: list[PinnedDataset] = Field(default_factory=list)
    """With the revisions that are read: branches and folders are resolved to commits and digests."""
    model: ModelOutput | None = None
    """The model that the run starts from, with its commit, if it is on the Hub."""
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
    """What a user should know, such as `warning: skipped the damaged checkpoint step-20`; see WARNING."""
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
    restarts: Annotated[
        list[Restart],
        Field(description="Attempts that ended while the pods stayed, oldest first: all since the pods started."),
    ] = Field(default_factory=list)


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
