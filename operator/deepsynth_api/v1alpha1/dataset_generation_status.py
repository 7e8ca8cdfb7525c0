"""DatasetGeneration.status: what was observed."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.base import ApiModel, Condition, Time

GenerationState = Literal[
    "Pending", "Queued", "Starting", "Planning", "Rendering", "Publishing", "Suspended", "Complete", "Failed"
]


StepOutcome = Literal["Succeeded", "Failed", "Disrupted", "Suspended"]


class DroppedRows(ApiModel):
    reason: Annotated[str, Field(description="CamelCase reason, such as TextTooShort or Duplicate.")]
    rows: Annotated[int, Field(description="Rows left out for this reason.")]


class PlannedSplit(ApiModel):
    name: Annotated[str, Field(description="Name of the split, such as train.")]
    rows: Annotated[int, Field(description="Documents of this split to render.")]


class PlanStatus(ApiModel):
    """What the plan step decided."""

    revision: Annotated[str, Field(description="Pinned revision of the source.")]
    digest: Annotated[str, Field(description="sha256 of the plan; names the staging area.")]
    splits: Annotated[list[PlannedSplit], Field(description="Documents to render, by split.")]
    shards: Annotated[int, Field(description="Number of shards, which are rendered independently.")]
    dropped: Annotated[list[DroppedRows], Field(description="Rows that the plan left out, by reason.")] = Field(
        default_factory=list
    )


class GenerationProgress(ApiModel):
    shards_total: Annotated[int, Field(description="Number of shards of the plan.")] = 0
    shards_done: Annotated[int, Field(description="Number of shards that are rendered.")] = 0
    failed_indexes: Annotated[str, Field(description="Shards given up, as in a Job: 1,3-5.")] = ""
    rows: Annotated[int, Field(description="Documents rendered so far.")] = 0
    pages: Annotated[int, Field(description="Pages rendered so far.")] = 0
    bytes: Annotated[int, Field(description="Bytes of parquet written so far.")] = 0
    pages_per_second: Annotated[str, Field(description="Pages a second over all pods, rounded.")] = ""
    percentage: Annotated[int, Field(description="Share of the documents rendered, percent.")] = 0
    estimated_completion_time: Annotated[Time | None, Field(description="When rendering should end.")] = None
    dropped: Annotated[list[DroppedRows], Field(description="Rows left out, by reason.")] = Field(default_factory=list)
    updated_time: Annotated[Time | None, Field(description="When any of this last changed.")] = None
    waiting: Annotated[str, Field(description="What a pod waits for, such as a rate limit of the Hub.")] = ""


class OutputStatus(ApiModel):
    """The published dataset."""

    uri: Annotated[str, Field(description="Where the dataset is: a URI.")]
    revision: Annotated[str, Field(description="Commit on the Hub, or sha256 of the manifest elsewhere.")]
    rows: Annotated[int, Field(description="Documents of the published dataset.")]
    pages: Annotated[int, Field(description="Pages of the published dataset.")]
    bytes: Annotated[int, Field(description="Bytes of the published parquet files.")]
    manifest_sha256: Annotated[str, Field(description="sha256 of deepsynth/manifest.json.")]


class LastFailure(ApiModel):
    """The newest failure of a pod, kept because the Job controller deletes pods."""

    time: Annotated[Time, Field(description="When the container of the pod ended.")]
    step: Annotated[str, Field(description="The step that failed: plan, render or publish.")]
    index: Annotated[int | None, Field(description="Shard of the pod, when the step is render.")] = None
    reason: Annotated[str, Field(description="One CamelCase word for machines.")]
    message: Annotated[str, Field(description="What happened, with the remedy where there is one.")]
    exit_code: Annotated[int | None, Field(description="Exit code of the container; 64: configuration, 65: data.")] = (
        None
    )
    node: Annotated[str | None, Field(description="Node that the pod was on.")] = None


class GenerationSummary(ApiModel):
    """The strings that the printer columns show."""

    progress: Annotated[str, Field(description="Share of the documents rendered, such as 42%.")] = ""
    pages: Annotated[str, Field(description="Pages rendered, such as 12345.")] = ""
    rate: Annotated[str, Field(description="Pages a second over all pods.")] = ""
    eta: Annotated[str, Field(description="Time until rendering should end, such as 2h5m.")] = ""
    shards: Annotated[str, Field(description="Shards done of all shards, such as 7/40.")] = ""
    source: Annotated[str, Field(description="The preset, or the URI of the source.")] = ""
    output: Annotated[str, Field(description="Where the dataset goes: a URI.")] = ""
    reason: Annotated[
        str, Field(description="Why it is in this state, such as ImagePullBackOff; the condition Complete says more.")
    ] = ""


class ChildJob(ApiModel):
    """A Job that was decided on; written before it is created."""

    step: Annotated[
        Literal["plan", "render", "publish"], Field(description="The step that the Job does: plan, render or publish.")
    ]
    name: Annotated[str, Field(description="Name of the Job in the resource's namespace.")]
    number: Annotated[int, Field(description="How many Jobs this step had before, plus one.")] = 1
    uid: Annotated[str, Field(description="uid of the Job, once that was seen.")] = ""
    start_time: Annotated[Time, Field(description="When the Job was decided on.")]
    running_time: Annotated[Time | None, Field(description="When the first container of the Job started.")] = None
    end_time: Annotated[Time | None, Field(description="When its outcome was seen.")] = None
    outcome: Annotated[StepOutcome | None, Field(description="How it ended; empty while it lives.")] = None
    reason: Annotated[str, Field(description="CamelCase reason of the outcome.")] = ""
    message: Annotated[str, Field(description="What happened, in a sentence for people.")] = ""
    image: Annotated[str, Field(description="Container image of the Job's pods.")] = ""
    shards_done: Annotated[
        int, Field(description="Shards that were done when it ended, those of earlier Jobs too.")
    ] = 0


class DatasetGenerationStatus(ApiModel):
    """Observed state."""

    observed_generation: Annotated[int, Field(description="The generation this status was computed from.")] = -1
    conditions: Annotated[
        list[Condition],
        Field(
            description="Complete, Failed, Suspended, Published, Reconciling, Stalled.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = Field(default_factory=list)
    state: Annotated[
        GenerationState | None,
        Field(description="Where the resource stands, in one word for people; machines read the conditions."),
    ] = None
    start_time: Annotated[
        Time | None, Field(description="When work was first begun. The spec is fixed from then on.")
    ] = None
    completion_time: Annotated[Time | None, Field(description="When it completed or failed.")] = None
    plan: Annotated[PlanStatus | None, Field(description="What the plan step decided.")] = None
    jobs: Annotated[list[ChildJob], Field(description="The Jobs of this resource, newest last, last ten.")] = Field(
        default_factory=list
    )
    progress: Annotated[
        GenerationProgress | None, Field(description="How far rendering is: shards, documents, pages.")
    ] = None
    output: Annotated[OutputStatus | None, Field(description="The published dataset, once there is one.")] = None
    last_failure: Annotated[LastFailure | None, Field(description="The newest failure of a pod.")] = None
    summary: Annotated[GenerationSummary, Field(description="Strings for the printer columns.")] = GenerationSummary()
