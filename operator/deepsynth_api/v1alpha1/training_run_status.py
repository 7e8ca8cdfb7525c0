"""TrainingRun.status: what was observed."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.base import ApiModel, Condition, Time
from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows

RunState = Literal[
    "Pending",
    "WaitingForDataset",
    "Queued",
    "Starting",
    "Running",
    "Restarting",
    "Suspended",
    "Complete",
    "Failed",
]


AttemptOutcome = Literal["Succeeded", "Failed", "Disrupted", "Suspended", "Hung"]


class TrainingProgress(ApiModel):
    step: Annotated[int, Field(description="Optimizer steps done so far.")] = 0
    total_steps: Annotated[int, Field(description="Optimizer steps of the whole run.")] = 0
    epoch: Annotated[str, Field(description="Passes over the data, such as 1.25.")] = ""
    percentage: Annotated[int, Field(description="Share of the steps done, percent.")] = 0
    samples_per_second: Annotated[str, Field(description="Samples a second over all processes.")] = ""
    loss: Annotated[str, Field(description="Training loss per label token, smoothed.")] = ""
    learning_rate: Annotated[str, Field(description="Learning rate of the last step.")] = ""
    phase: Annotated[
        str, Field(description="What the processes do: download, start, step, evaluate, save, publish.")
    ] = ""
    dropped: Annotated[
        list[DroppedRows], Field(description="Training samples left out before the first step, counted by reason.")
    ] = Field(default_factory=list)
    estimated_completion_time: Annotated[Time | None, Field(description="When training should end.")] = None
    updated_time: Annotated[Time | None, Field(description="When a report was last read.")] = None


class PinnedDataset(ApiModel):
    name: Annotated[str, Field(description="Name of the dataset in spec.datasets.")]
    uri: Annotated[str, Field(description="Where the dataset is: a URI.")]
    revision: Annotated[str | None, Field(description="Commit or manifest digest that every attempt reads.")] = None
    rows: Annotated[int | None, Field(description="Documents of the dataset.")] = None


class CheckpointStatus(ApiModel):
    step: Annotated[int, Field(description="Optimizer step that it holds the state of.")]
    uri: Annotated[str, Field(description="Folder of the checkpoint: a URI.")]
    time: Annotated[Time, Field(description="When it was completely written.")]
    bytes: Annotated[int, Field(description="Size of its files, in bytes.")] = 0
    sha256: Annotated[str, Field(description="sha256 of its manifest, which holds the hash of every file.")] = ""
    loss: Annotated[str, Field(description="Validation loss, where it was measured.")] = ""


class MetricValue(ApiModel):
    name: Annotated[str, Field(description="Name, such as validation_loss or validation_loss_swapped.")]
    value: Annotated[str, Field(description="Value as a decimal string.")]
    step: Annotated[int | None, Field(description="Optimizer step at which it was measured.")] = None


class Attempt(ApiModel):
    """One try to run all processes together."""

    number: Annotated[int, Field(description="1, 2, 3 and so on; never reused.")]
    start_time: Annotated[Time, Field(description="When the attempt was decided on.")]
    held_time: Annotated[Time | None, Field(description="When its first container started.")] = None
    running_time: Annotated[Time | None, Field(description="When all pods of the attempt ran.")] = None
    end_time: Annotated[
        Time | None, Field(description="When it was over. With an outcome but no endTime it is ending.")
    ] = None
    job: Annotated[str, Field(description="Name of the attempt's Job. A queue may run one Job for several attempts.")]
    job_uid: Annotated[str, Field(description="uid of its Job, once that was seen.")] = ""
    image: Annotated[str, Field(description="Container image of the attempt's pods.")] = ""
    resumed_from_step: Annotated[int | None, Field(description="Step of the checkpoint it began from.")] = None
    last_step: Annotated[int | None, Field(description="Last optimizer step that it reported.")] = None
    saved_step: Annotated[int | None, Field(description="Newest step it saved beyond all earlier checkpoints.")] = None
    saved_time: Annotated[Time | None, Field(description="When it saved the step in savedStep.")] = None
    outcome: Annotated[AttemptOutcome | None, Field(description="How it ended; empty while it lives.")] = None
    reason: Annotated[str, Field(description="CamelCase reason of the outcome.")] = ""
    exit_code: Annotated[int | None, Field(description="Exit code of the process that failed first.")] = None
    rank: Annotated[int | None, Field(description="Rank of the process that failed first.")] = None
    node: Annotated[str | None, Field(description="Node of the process that failed first.")] = None
    failed_step: Annotated[int | None, Field(description="Step at which it failed, where the cause names one.")] = None
    failed_time: Annotated[Time | None, Field(description="When the container of the root cause ended.")] = None
    message: Annotated[str, Field(description="What happened, in a sentence for people.")] = ""
    gpu_seconds: Annotated[int, Field(description="GPU-seconds that the attempt held: GPUs times seconds.")] = 0
    lost_gpu_seconds: Annotated[int, Field(description="Of gpuSeconds, those after its last checkpoint: lost.")] = 0


class Usage(ApiModel):
    gpu_seconds: Annotated[int, Field(description="GPU-seconds held by all attempts: GPUs times seconds.")] = 0
    lost_gpu_seconds: Annotated[int, Field(description="Of gpuSeconds, those not behind a step that was kept.")] = 0


class ModelOutput(ApiModel):
    uri: Annotated[str, Field(description="Where the final model is.")]
    revision: Annotated[str | None, Field(description="Commit on the Hub, where it is there.")] = None


class RunSummary(ApiModel):
    """The strings that the printer columns show."""

    progress: Annotated[str, Field(description="Share of the steps done, such as 42%.")] = ""
    step: Annotated[str, Field(description="Steps done of all steps, such as 1260/3000.")] = ""
    loss: Annotated[str, Field(description="Training loss per label token, smoothed, such as 1.83.")] = ""
    eta: Annotated[str, Field(description="Time until training should end, such as 2h5m.")] = ""
    checkpoint: Annotated[str, Field(description="Step of the newest checkpoint that verifies.")] = ""
    nodes: Annotated[str, Field(description="Number of pods of an attempt.")] = ""
    dataset: Annotated[str, Field(description="Names of the datasets.")] = ""
    samples_per_second: Annotated[str, Field(description="Samples a second over all processes.")] = ""
    model: Annotated[str, Field(description="The model that the run started from.")] = ""
    reason: Annotated[
        str, Field(description="Why it is in this state, such as ImagePullBackOff; the condition Complete says more.")
    ] = ""


class TrainingRunStatus(ApiModel):
    """Observed state."""

    observed_generation: Annotated[int, Field(description="The generation this status was computed from.")] = -1
    conditions: Annotated[
        list[Condition],
        Field(
            description="Complete, Failed, Suspended, DatasetReady, Published, Reconciling, Stalled.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = Field(default_factory=list)
    state: Annotated[
        RunState | None,
        Field(description="Where the run stands, in one word for people; machines read the conditions."),
    ] = None
    start_time: Annotated[Time | None, Field(description="When the run was accepted and its datasets pinned.")] = None
    completion_time: Annotated[Time | None, Field(description="When it completed or failed.")] = None
    progress: Annotated[TrainingProgress | None, Field(description="How far training is: steps, loss, speed.")] = None
    datasets: Annotated[
        list[PinnedDataset],
        Field(
            description="The datasets with their pinned revisions.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(default_factory=list)
    checkpoints: Annotated[list[CheckpointStatus], Field(description="Checkpoints that verify, newest first.")] = Field(
        default_factory=list
    )
    best_checkpoint: Annotated[
        CheckpointStatus | None, Field(description="The one with the lowest validation loss.")
    ] = None
    metrics: Annotated[
        list[MetricValue], Field(description="Newest value of each metric that is measured on the validation split.")
    ] = Field(default_factory=list)
    model: Annotated[
        ModelOutput | None, Field(description="The model that spec.model.trainingRunRef produced, pinned.")
    ] = None
    saved_step: Annotated[
        int, Field(description="Highest step that was ever in a complete checkpoint: the measure of progress.")
    ] = 0
    notes: Annotated[
        list[str],
        Field(description="Things worth knowing, such as a damaged checkpoint that was passed over; last ten."),
    ] = Field(default_factory=list)
    restarts: Annotated[int, Field(description="Attempts after the first, suspensions not counted.")] = 0
    failures: Annotated[int, Field(description="Failures that count against backoffLimit.")] = 0
    attempts_without_progress: Annotated[
        int, Field(description="Attempts in a row that ended without a new checkpoint.")
    ] = 0
    attempts: Annotated[list[Attempt], Field(description="The last ten attempts, newest last.")] = Field(
        default_factory=list
    )
    usage: Annotated[Usage, Field(description="GPU time of all attempts, and how much of it was lost.")] = Usage()
    output: Annotated[ModelOutput | None, Field(description="The final model, once there is one.")] = None
    summary: Annotated[RunSummary, Field(description="Strings for the printer columns.")] = RunSummary()
