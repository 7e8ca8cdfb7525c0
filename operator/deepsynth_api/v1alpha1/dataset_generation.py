"""DatasetGeneration: text and summary pairs in, a dataset of page images out."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.base import ApiModel, Condition, Decimal, ObjectMeta, SecretReference, Time
from deepsynth_api.v1alpha1.pod_template import PodTemplate

PresetName = Literal[
    "cnn_dailymail",
    "xsum",
    "mlsum_fr",
    "mlsum_es",
    "mlsum_de",
    "billsum",
    "samsum",
    "arxiv",
    "pubmed",
]
FontFamily = Literal["DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono"]

GenerationState = Literal[
    "Pending", "Queued", "Starting", "Planning", "Rendering", "Publishing", "Suspended", "Complete", "Failed"
]

StepOutcome = Literal["Succeeded", "Failed", "Disrupted", "Suspended"]


class Columns(ApiModel):
    """The two columns of the source that matter. What is left out is detected from the usual names."""

    text: Annotated[
        str | None, Field(description="Column of the long text, such as article, document or dialogue.")
    ] = None
    summary: Annotated[str | None, Field(description="Column of the summary, such as highlights.")] = None


class Source(ApiModel):
    """Where the text comes from."""

    uri: Annotated[
        str,
        Field(
            pattern=r"^(hf://datasets/[^/]+(/[^/]+)?|(file|pvc)://.+|docstrings://)$",
            max_length=1024,
            description=(
                "hf://datasets/OWNER/NAME, file:///FOLDER-OR-FILE or pvc://CLAIM/PATH (parquet, jsonl, "
                "csv), or docstrings:// for the docstrings of Python's standard library."
            ),
        ),
    ]
    revision: Annotated[
        str | None,
        Field(description="Branch, tag or commit of a Hub dataset. It is resolved once and pinned in status."),
    ] = None
    config: Annotated[str | None, Field(description="Configuration of a Hub dataset, such as 3.0.0 or fr.")] = None
    splits: Annotated[
        list[str],
        Field(max_length=16, description="Splits to render; default: all that the source has."),
    ] = Field(default_factory=list)
    columns: Annotated[Columns, Field(description="Columns of text and summary; detected when omitted.")] = Columns()
    max_rows_per_split: Annotated[
        int | None, Field(ge=1, description="Read at most this many rows of each split, the first ones.")
    ] = None
    secret_ref: Annotated[SecretReference | None, Field(description="Secret with HF_TOKEN for a private source.")] = (
        None
    )


class Filters(ApiModel):
    """Which rows are rendered. Every row left out is counted by reason in status.progress.dropped."""

    min_text_chars: Annotated[int, Field(ge=1, description="Fewest characters of text.")] = 50
    max_text_chars: Annotated[int | None, Field(ge=1, description="Most characters of text; default: no limit.")] = None
    min_summary_chars: Annotated[int, Field(ge=1, description="Fewest characters of summary.")] = 10
    max_summary_chars: Annotated[
        int | None, Field(ge=1, description="Most characters of summary; default: no limit.")
    ] = None
    deduplicate: Annotated[
        bool,
        Field(
            description=(
                "Keep one of equal texts over all splits: test first, then validation, then train, so "
                "that no document is on both sides."
            ),
        ),
    ] = True


class PageSettings(ApiModel):
    """How a page looks. Several families or sizes give each document one of them, chosen by seed."""

    size: Annotated[
        str,
        Field(
            pattern=r"^(512|640|1024|1280|a4@(72|96)|[1-9][0-9]{2,3}x[1-9][0-9]{2,3})$",
            description=(
                "Pixels: 512, 640, 1024 or 1280 square, a4@72, a4@96, or WIDTHxHEIGHT. Use the model's "
                "own size so that nothing is resampled."
            ),
        ),
    ] = "1024"
    font_families: Annotated[
        list[FontFamily], Field(min_length=1, max_length=8, description="Font families to choose from.")
    ] = Field(default=["DejaVu Sans"])
    font_sizes_px: Annotated[
        list[Annotated[int, Field(ge=6, le=96)]],
        Field(min_length=1, max_length=8, description="Font sizes to choose from, pixels per em."),
    ] = Field(default=[18])
    line_height: Annotated[Decimal, Field(description="Line pitch as a multiple of the font size.")] = "1.25"
    margin_px: Annotated[int, Field(ge=0, le=512, description="Margin on all four sides, pixels.")] = 32
    align: Annotated[Literal["left", "justify"], Field(description="Alignment of lines.")] = "left"
    columns: Annotated[int, Field(ge=1, le=2, description="Text columns on a page.")] = 1
    max_pages: Annotated[
        int,
        Field(ge=1, le=1000, description="A document that needs more pages is left out and counted, never cut."),
    ] = 64
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="Seed of the variety of fonts and sizes.")] = 0


class OutputSettings(ApiModel):
    """Where the dataset goes."""

    uri: Annotated[
        str,
        Field(
            pattern=r"^(hf://datasets/[^/]+/[^/]+|(file|pvc)://.+)$",
            max_length=1024,
            description="hf://datasets/OWNER/NAME, pvc://CLAIM/PATH or file:///PATH.",
        ),
    ]
    private: Annotated[bool, Field(description="Create the Hub repository private.")] = True
    secret_ref: Annotated[
        SecretReference | None, Field(description="Secret with HF_TOKEN that may write the repository.")
    ] = None
    compression: Annotated[
        Literal["small", "fast"],
        Field(description="PNG effort: small spends some three times the CPU for files about 15 % smaller."),
    ] = "small"
    max_shard_bytes: Annotated[
        int,
        Field(ge=1_000_000, le=5_000_000_000, description="Size at which a parquet file is closed, bytes."),
    ] = 500_000_000
    license: Annotated[
        str | None,
        Field(max_length=64, description="Licence for the dataset card, such as mit or cc-by-4.0."),
    ] = None


class RenderingSettings(ApiModel):
    """What to render, the part of the spec that the containers need."""

    filters: Annotated[Filters, Field(description="Which rows are rendered.")] = Filters()
    page: Annotated[PageSettings, Field(description="How a page looks.")] = PageSettings()
    output: Annotated[OutputSettings, Field(description="Where the dataset goes.")]
    rows_per_shard: Annotated[
        int, Field(ge=1, le=1_000_000, description="Documents in one shard, the unit of parallel work.")
    ] = 5000


class DatasetGenerationSpec(RenderingSettings):
    """Desired state. What it describes is fixed once status.startTime is set."""

    preset: Annotated[
        PresetName | None,
        Field(description="A well-known dataset: fills source and columns. Set preset or source, not both."),
    ] = None
    source: Annotated[Source | None, Field(description="Where the text comes from.")] = None
    parallelism: Annotated[int, Field(ge=1, le=10_000, description="Shards rendered at the same time.")] = 4
    backoff_limit_per_index: Annotated[
        int, Field(ge=0, le=100, description="Failures of one shard before it is given up.")
    ] = 3
    max_failed_indexes: Annotated[
        int | None,
        Field(
            ge=0,
            le=10_000,
            description="Failed shards that stop the rest early. Any failed shard fails the resource.",
        ),
    ] = None
    image: Annotated[str | None, Field(description="Container image; default: the operator's setting.")] = None
    template: Annotated[PodTemplate, Field(description="Settings of the pods.")] = PodTemplate()
    suspend: Annotated[bool, Field(description="Stop the pods and keep what is finished.")] = False
    active_deadline_seconds: Annotated[
        int | None, Field(ge=1, description="Seconds after startTime at which the resource fails.")
    ] = None
    ttl_seconds_after_finished: Annotated[
        int | None,
        Field(ge=0, description="Seconds after completionTime at which Jobs are removed; the resource stays."),
    ] = None


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


class DatasetGeneration(ApiModel):
    """Renders a text and summary dataset into page images and publishes them."""

    api_version: Literal["deepsynth.io/v1alpha1"] = "deepsynth.io/v1alpha1"
    kind: Literal["DatasetGeneration"] = "DatasetGeneration"
    metadata: ObjectMeta
    spec: Annotated[DatasetGenerationSpec, Field(description="What to render and where to publish it.")]
    status: Annotated[DatasetGenerationStatus, Field(description="Written by the operator.")] = (
        DatasetGenerationStatus()
    )
