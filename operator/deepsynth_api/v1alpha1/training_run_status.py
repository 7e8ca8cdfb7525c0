"""TrainingRun.status: what the operator observed."""

from typing import Annotated, Final, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows
from deepsynth_api.v1alpha1.shared.base import ApiModel, Condition, Time, max_characters, max_items
from deepsynth_api.v1alpha1.shared.notification import Outbox
from deepsynth_api.v1alpha1.shared.usage import ContainerUsage, HourlyPrice, Usage

MAX_AVOIDED_NODES: Final = 8

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
    epoch: Annotated[str, Field(description="Passes over the data so far, such as 1.25.")] = ""
    percentage: Annotated[int, Field(description="Percentage of the steps done so far.")] = 0
    samples_per_second: Annotated[str, Field(description="Samples per second, over all processes.")] = ""
    loss: Annotated[str, Field(description="Smoothed training loss per label token.")] = ""
    learning_rate: Annotated[str, Field(description="Learning rate of the last step.")] = ""
    phase: Annotated[
        str,
        Field(
            description="What the processes do at the moment: download, start, step, evaluate, save, publish or done."
        ),
    ] = ""
    dropped: Annotated[
        list[DroppedRows],
        Field(description="Number of training samples that were dropped before the first step, by reason."),
    ] = Field(default_factory=list)
    estimated_completion_time: Annotated[Time | None, Field(description="When training is expected to end.")] = None
    updated_time: Annotated[Time | None, Field(description="When a report of the pods was last read.")] = None


class PinnedDataset(ApiModel):
    name: Annotated[str, Field(description="Name of the dataset in spec.datasets.")]
    uri: Annotated[str, Field(description="URI of the dataset that is read.")]
    revision: Annotated[
        str | None, Field(description="Commit on the Hub or digest of the manifest: every attempt reads this revision.")
    ] = None
    rows: Annotated[int | None, Field(description="Number of documents in the dataset.")] = None


class CheckpointStatus(ApiModel):
    step: Annotated[int, Field(description="Optimizer step after which the checkpoint was saved.")]
    uri: Annotated[str, Field(description="URI of the folder of the checkpoint.")]
    time: Annotated[Time, Field(description="When the checkpoint was complete.")]
    bytes: Annotated[int, Field(description="Total size of the files, in bytes.")] = 0
    sha256: Annotated[
        str, Field(description="sha256 of the manifest of the checkpoint, which holds the hash of every file.")
    ] = ""
    loss: Annotated[str, Field(description="Validation loss at this step, if it was measured.")] = ""
    metric: Annotated[
        str, Field(description="Metric that ranks the checkpoints: spec.evaluation.bestMetric, such as loss or cer.")
    ] = ""
    value: Annotated[
        str, Field(description="Value of this metric at this step, a decimal string, if it was measured.")
    ] = ""


class MetricValue(ApiModel):
    name: Annotated[
        str,
        Field(
            description=(
                "Name of the metric, such as validation_loss. With _swapped: measured with the pages of other "
                "documents; with _black: with black pages."
            )
        ),
    ]
    value: Annotated[str, Field(description="Value of the metric, a decimal string.")]
    step: Annotated[int | None, Field(description="Optimizer step at which the metric was measured.")] = None


class SampleText(ApiModel):
    """One validation sample, and what the model wrote for its pages. Long texts are cut."""

    name: Annotated[str, Field(description="Which sample it is, such as row 3 of the validation split.")]
    step: Annotated[int, Field(description="Optimizer step after which the text was written.")]
    reference: Annotated[str, Field(description="The text that the model should write: the label of the sample.")]
    written: Annotated[str, Field(description="What the model wrote.")]


class Setting(ApiModel):
    """A field of the spec that may change between attempts, as the last attempt had it."""

    name: Annotated[str, Field(description="Name of the field in spec, such as maxSteps.")]
    value: Annotated[str, Field(description="Its value as JSON, or a hash of it if it takes more than 512 bytes.")]


class SettingChange(ApiModel):
    """One field of the spec that was changed."""

    field: Annotated[str, Field(description="Path of the field in spec, such as evaluation.everySteps.")]
    before: Annotated[str, Field(description="Value of the earlier attempts as JSON; empty if it was not set.")] = ""
    after: Annotated[str, Field(description="Value of the later attempts as JSON; empty if it is not set.")] = ""


class HistoryEntry(ApiModel):
    """The spec changed between two attempts, or continued a run that was finished."""

    time: Annotated[Time, Field(description="When the operator took the change over.")]
    step: Annotated[int, Field(description="Highest step of a checkpoint then: status.savedStep.")] = 0
    attempt: Annotated[int, Field(description="Number of the first attempt with the changed settings.")]
    state: Annotated[
        str, Field(description="Complete or Failed if the change continued a finished run; else empty.")
    ] = ""
    changes: Annotated[
        list[SettingChange],
        Field(description="What changed, at most 20 fields; fewer if the status would exceed its budget."),
    ] = Field(default_factory=list)


class Attempt(ContainerUsage):
    """One attempt to run all processes together."""

    number: Annotated[int, Field(description="Number of the attempt: 1, 2, 3 and so on, never reused.")]
    start_time: Annotated[Time, Field(description="When the operator decided to start the attempt.")]
    held_time: Annotated[Time | None, Field(description="When the first container of the attempt started.")] = None
    running_time: Annotated[Time | None, Field(description="When all pods of the attempt were running.")] = None
    end_time: Annotated[
        Time | None,
        Field(description="When the attempt was over. An attempt with an outcome and without endTime is ending."),
    ] = None
    job: Annotated[
        str,
        Field(
            description=(
                "Name of the Job of the attempt. Several attempts share a Job that a queue evicted and admitted again, "
                "and those that started in the pods of the one before."
            )
        ),
    ]
    job_uid: Annotated[str, Field(description="uid of the Job, once the operator has seen it.")] = ""
    in_place: Annotated[
        bool | None,
        Field(
            description=(
                "The attempt started in the pods of the attempt before it, whose processes had failed. Unset if it has "
                "pods of its own."
            )
        ),
    ] = None
    image: Annotated[str, Field(description="Container image of the pods of the attempt.")] = ""
    nodes: Annotated[int | None, Field(description="Number of pods of the attempt.")] = None
    gpus_per_node: Annotated[int | None, Field(description="Number of GPUs of each pod of the attempt.")] = None
    cpus_per_node: Annotated[
        str | None, Field(description="CPUs that each pod of the attempt requested, such as 8 or 500m.")
    ] = None
    price: Annotated[HourlyPrice | None, Field(description="Price of each pod, as of when the first one started.")] = (
        None
    )
    scheduled_nodes: Annotated[
        int | None,
        Field(description="Number of pods that had a node, if the next attempt has as many (spec.elastic)."),
    ] = None
    avoided_nodes: Annotated[
        list[Annotated[str, Field(json_schema_extra=max_characters(253))]] | None,
        Field(
            json_schema_extra=max_items(MAX_AVOIDED_NODES),
            description=(
                "Nodes on which the pods of the attempt should not run: within the hour before its start, an earlier "
                "attempt hung there, or its GPU failed. Unset if there are none."
            ),
        ),
    ] = None
    resumed_from_step: Annotated[
        int | None, Field(description="Step of the checkpoint from which the attempt resumed.")
    ] = None
    last_step: Annotated[int | None, Field(description="Last optimizer step that the pods reported.")] = None
    step_seconds: Annotated[
        int | None, Field(description="Seconds that the attempt spent in optimizer steps, as its pods reported.")
    ] = None
    evaluation_seconds: Annotated[
        int | None, Field(description="Seconds that the attempt spent in evaluations, as its pods reported.")
    ] = None
    saved_step: Annotated[
        int | None, Field(description="Newest step that the attempt saved, if it is beyond all earlier checkpoints.")
    ] = None
    saved_time: Annotated[Time | None, Field(description="When the checkpoint of savedStep was saved.")] = None
    outcome: Annotated[
        AttemptOutcome | None, Field(description="How the attempt ended. Unset until the outcome is known.")
    ] = None
    reason: Annotated[str, Field(description="Reason of the outcome, one CamelCase word.")] = ""
    exit_code: Annotated[int | None, Field(description="Exit code of the process that failed first.")] = None
    rank: Annotated[int | None, Field(description="Rank of the process that failed first.")] = None
    node: Annotated[str | None, Field(description="Node of the process that failed first.")] = None
    failed_step: Annotated[
        int | None, Field(description="Optimizer step at which the attempt failed, if it is known.")
    ] = None
    failed_time: Annotated[Time | None, Field(description="When the container that failed first ended.")] = None
    message: Annotated[str, Field(description="Human-readable description of what happened.")] = ""
    obstacle: Annotated[
        str,
        Field(
            json_schema_extra=max_characters(512),
            description=(
                "What last kept the pods of the attempt from starting, such as an image that cannot be pulled. Empty "
                "once they have started."
            ),
        ),
    ] = ""
    gpu_seconds: Annotated[
        int, Field(description="GPU-seconds that the attempt used: number of GPUs times seconds.")
    ] = 0
    lost_gpu_seconds: Annotated[
        int, Field(description="Part of gpuSeconds that was lost, because no checkpoint held the work.")
    ] = 0


class ModelOutput(ApiModel):
    uri: Annotated[str, Field(description="URI of the folder or Hub repository of the model.")]
    revision: Annotated[str | None, Field(description="Commit on the Hub, if the model is there.")] = None
    step: Annotated[
        int | None, Field(description="Optimizer step whose weights the model has, if a TrainingRun trained it.")
    ] = None
    note: Annotated[
        str | None, Field(description="Why the model is not that of the last step, such as an early end of training.")
    ] = None


class RunSummary(ApiModel):
    """Text of the printer columns: a column prints one field, and numbers only raw."""

    progress: Annotated[str, Field(description="Percentage of the steps done, such as 42%.")] = ""
    step: Annotated[str, Field(description="Steps done and steps in total, such as 1260/3000.")] = ""
    loss: Annotated[str, Field(description="Smoothed training loss per label token, such as 1.83.")] = ""
    eta: Annotated[str, Field(description="Estimated time left, such as 2h5m.")] = ""
    checkpoint: Annotated[str, Field(description="Optimizer step of the newest valid checkpoint.")] = ""
    best: Annotated[
        str, Field(description="Metric and value of the best checkpoint and its step, such as cer 3.4% (step 1200).")
    ] = ""
    nodes: Annotated[
        str, Field(description="Number of pods of an attempt, such as 2; 1/2 while it has fewer than spec.numNodes.")
    ] = ""
    dataset: Annotated[str, Field(description="Names of the datasets, separated by commas.")] = ""
    samples_per_second: Annotated[str, Field(description="Samples per second, over all processes.")] = ""
    model: Annotated[str, Field(description="URI of the model that the run starts from.")] = ""
    reason: Annotated[
        str,
        Field(description="Why the run is in this state, such as ImagePullBackOff. The condition Complete says more."),
    ] = ""


class TrainingRunStatus(ApiModel):
    """Observed state."""

    observed_generation: Annotated[
        int, Field(description="The metadata.generation that this status was computed from.")
    ] = -1
    conditions: Annotated[
        list[Condition],
        Field(
            description=(
                "Conditions of the run: Complete, Failed, Suspended, DatasetReady, Published, Reconciling, Stalled."
            ),
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = Field(default_factory=list)
    state: Annotated[
        RunState | None,
        Field(description="State of the run in one word, for humans. Programs should read the conditions."),
    ] = None
    start_time: Annotated[Time | None, Field(description="When the run was accepted and its datasets were pinned.")] = (
        None
    )
    completion_time: Annotated[Time | None, Field(description="When the run completed or failed.")] = None
    continued_time: Annotated[
        Time | None,
        Field(description="When a change of the spec last continued the finished run. Its deadline counts from then."),
    ] = None
    progress: Annotated[TrainingProgress | None, Field(description="Progress of the training: steps, loss, speed.")] = (
        None
    )
    datasets: Annotated[
        list[PinnedDataset],
        Field(
            description="The datasets and their pinned revisions.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(default_factory=list)
    checkpoints: Annotated[list[CheckpointStatus], Field(description="Valid checkpoints, newest first.")] = Field(
        default_factory=list
    )
    best_checkpoint: Annotated[
        CheckpointStatus | None, Field(description="The best checkpoint, by spec.evaluation.bestMetric.")
    ] = None
    metrics: Annotated[
        list[MetricValue],
        Field(
            description="Newest value of each metric on the validation data; at the end, those of the published model."
        ),
    ] = Field(default_factory=list)
    samples: Annotated[
        list[SampleText],
        Field(
            description=(
                "What the model wrote at the last evaluation, at the end what the published model wrote: up to three "
                "samples, cut at 200 characters."
            )
        ),
    ] = Field(default_factory=list)
    model: Annotated[
        ModelOutput | None,
        Field(
            description=(
                "The model that the run starts from: what spec.model.trainingRunRef produced, pinned when the run was "
                "accepted, or spec.model.uri on the Hub at the commit that the first attempt found."
            )
        ),
    ] = None
    saved_step: Annotated[
        int,
        Field(
            description=(
                "Highest step that any complete checkpoint has held. Attempts that do not raise it make no progress."
            )
        ),
    ] = 0
    notes: Annotated[
        list[str],
        Field(description="The last ten notes of the trainer, such as a damaged checkpoint that it skipped."),
    ] = Field(default_factory=list)
    restarts: Annotated[
        int,
        Field(
            description=(
                "Number of attempts after the first, without those that continue after a suspension or a change of the "
                "spec."
            )
        ),
    ] = 0
    failures: Annotated[
        int,
        Field(
            description=(
                "Number of failed attempts, which count against backoffLimit. A finished run that continues counts "
                "from 0 again."
            )
        ),
    ] = 0
    attempts_without_progress: Annotated[
        int, Field(description="Number of attempts in a row that ended without a new checkpoint.")
    ] = 0
    attempts: Annotated[list[Attempt], Field(description="The last ten attempts, oldest first.")] = Field(
        default_factory=list
    )
    settings: Annotated[
        list[Setting],
        Field(
            description=(
                "Settings of the last attempt that may change between attempts, without those that are not set. What "
                "differs from spec takes effect with the next attempt."
            )
        ),
    ] = Field(default_factory=list)
    history: Annotated[
        list[HistoryEntry],
        Field(description="The last ten changes of the spec that took effect after the start, oldest first."),
    ] = Field(default_factory=list)
    pending_notification: Outbox = None
    usage: Annotated[
        Usage, Field(description="GPU time, CPU time and cost of all attempts, and the part that was lost.")
    ] = Usage.defaults()
    output: Annotated[ModelOutput | None, Field(description="The final model, once training is complete.")] = None
    summary: Annotated[RunSummary, Field(description="Text of the printer columns.")] = RunSummary.defaults()
