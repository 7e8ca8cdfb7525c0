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
    rows: Annotated[int, Field(description="Rows left out for it.")]


class PlannedSplit(ApiModel):
    name: Annotated[str, Field(description="Name of the split.")]
    rows: Annotated[int, Field(description="Documents to render.")]


class PlanStatus(ApiModel):
    """What the plan step decided."""

    revision: Annotated[str, Field(description="Pinned revision of the source.")]
    digest: Annotated[str, Field(description="sha256 of the plan; names the staging area.")]
    splits: Annotated[list[PlannedSplit], Field(description="Documents per split.")]
    shards: Annotated[int, Field(description="Number of shards.")]
    dropped: Annotated[list[DroppedRows], Field(description="Rows that the plan left out, by reason.")] = Field(
        default_factory=list
    )


class GenerationProgress(ApiModel):
    shards_total: Annotated[int, Field(description="Shards of the plan.")] = 0
    shards_done: Annotated[int, Field(description="Shards rendered.")] = 0
    failed_indexes: Annotated[str, Field(description="Shards given up, as in a Job: 1,3-5.")] = ""
    rows: Annotated[int, Field(description="Documents rendered.")] = 0
    pages: Annotated[int, Field(description="Pages rendered.")] = 0
    bytes: Annotated[int, Field(description="Bytes of parquet written.")] = 0
    pages_per_second: Annotated[str, Field(description="Over all pods, rounded.")] = ""
    percentage: Annotated[int, Field(description="Share of the documents rendered, percent.")] = 0
    estimated_completion_time: Annotated[Time | None, Field(description="When rendering should end.")] = None
    dropped: Annotated[list[DroppedRows], Field(description="Rows left out, by reason.")] = Field(default_factory=list)
    updated_time: Annotated[Time | None, Field(description="When any of this last changed.")] = None
    waiting: Annotated[str, Field(description="What a pod waits for, such as a rate limit of the Hub.")] = ""


class OutputStatus(ApiModel):
    """The published dataset."""

    uri: Annotated[str, Field(description="Where it is.")]
    revision: Annotated[str, Field(description="Commit on the Hub, or sha256 of the manifest elsewhere.")]
    rows: Annotated[int, Field(description="Documents.")]
    pages: Annotated[int, Field(description="Pages.")]
    bytes: Annotated[int, Field(description="Bytes of parquet.")]
    manifest_sha256: Annotated[str, Field(description="sha256 of deepsynth/manifest.json.")]


class LastFailure(ApiModel):
    """The newest failure of a pod, kept because the Job controller deletes pods."""

    time: Annotated[Time, Field(description="When the pod ended.")]
    step: Annotated[str, Field(description="plan, render or publish.")]
    index: Annotated[int | None, Field(description="Shard of a render pod.")] = None
    reason: Annotated[str, Field(description="CamelCase reason.")]
    message: Annotated[str, Field(description="What to do about it.")]
    exit_code: Annotated[int | None, Field(description="Exit code of the container.")] = None
    node: Annotated[str | None, Field(description="Node of the pod.")] = None


class GenerationSummary(ApiModel):
    """The strings that the printer columns show."""

    progress: str = ""
    pages: str = ""
    rate: str = ""
    eta: str = ""
    shards: str = ""
    source: str = ""
    output: str = ""


class ChildJob(ApiModel):
    """A Job that was decided on; written before it is created."""

    step: Annotated[Literal["plan", "render", "publish"], Field(description="The step it does.")]
    name: Annotated[str, Field(description="Name of the Job.")]
    number: Annotated[int, Field(description="How many Jobs this step had before, plus one.")] = 1
    uid: Annotated[str, Field(description="uid of the Job, once that was seen.")] = ""
    start_time: Annotated[Time, Field(description="When it was decided on.")]
    running_time: Annotated[Time | None, Field(description="When its first container started.")] = None
    end_time: Annotated[Time | None, Field(description="When its outcome was seen.")] = None
    outcome: Annotated[StepOutcome | None, Field(description="How it ended; empty while it lives.")] = None
    reason: Annotated[str, Field(description="CamelCase reason of the outcome.")] = ""
    message: Annotated[str, Field(description="What happened.")] = ""
    image: Annotated[str, Field(description="Resolved image.")] = ""


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
    state: Annotated[GenerationState | None, Field(description="One word for people.")] = None
    start_time: Annotated[Time | None, Field(description="When work was first begun.")] = None
    completion_time: Annotated[Time | None, Field(description="When it completed or failed.")] = None
    plan: Annotated[PlanStatus | None, Field(description="What the plan step decided.")] = None
    jobs: Annotated[list[ChildJob], Field(description="The Jobs of this resource, newest last, last ten.")] = Field(
        default_factory=list
    )
    progress: Annotated[GenerationProgress | None, Field(description="How far rendering is.")] = None
    output: Annotated[OutputStatus | None, Field(description="The published dataset.")] = None
    last_failure: Annotated[LastFailure | None, Field(description="The newest failure of a pod.")] = None
    summary: Annotated[GenerationSummary, Field(description="Strings for the printer columns.")] = GenerationSummary()
