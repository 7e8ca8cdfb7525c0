"""DatasetGeneration.status: what the operator observed."""

from typing import Annotated, Final, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.shared.base import ApiModel, Condition, Time, max_characters
from deepsynth_api.v1alpha1.shared.notification import Outbox
from deepsynth_api.v1alpha1.shared.usage import ContainerUsage, HourlyPrice

GenerationState = Literal[
    "Pending", "Queued", "Starting", "Planning", "Rendering", "Publishing", "Suspended", "Complete", "Failed"
]


StepOutcome = Literal["Succeeded", "Failed", "Disrupted", "Suspended"]


class DroppedRows(ApiModel):
    reason: Annotated[str, Field(description="Reason, one CamelCase word such as TextTooShort or Duplicate.")]
    rows: Annotated[int, Field(description="Number of rows or samples dropped for this reason.")]


class PlannedSplit(ApiModel):
    name: Annotated[str, Field(description="Name of the split, such as train.")]
    rows: Annotated[int, Field(description="Number of documents of this split to render.")]


class ReadColumns(ApiModel):
    """Which two columns of the source were read. Equal names: a column of messages that holds both."""

    config: Annotated[
        str | None, Field(description="Configuration of the source, if spec.source.configs lists several.")
    ] = None
    text: Annotated[str, Field(description="Name of the column of the texts.")]
    summary: Annotated[str, Field(description="Name of the column of the summaries.")]
    rows: Annotated[int, Field(description="Number of rows that were read from these columns.")]


class SkippedFiles(ApiModel):
    reason: Annotated[str, Field(description="Reason, one CamelCase word such as OtherFormat or UnknownFormat.")]
    files: Annotated[int, Field(description="Number of files that are not read for this reason.")]
    examples: Annotated[list[str], Field(description="Paths of the first of them.")] = Field(default_factory=list)


class UndrawableScript(ApiModel):
    script: Annotated[
        str, Field(description="ISO 15924 code of the script, such as Mong; Zzzz for private characters.")
    ]
    documents: Annotated[int, Field(description="Number of documents with characters of it that no font draws.")]


class UndrawableCharacter(ApiModel):
    character: Annotated[str, Field(description="Code point and name, such as U+E000 (no name).")]
    documents: Annotated[int, Field(description="Number of documents with this character.")]


class Undrawable(ApiModel):
    """The characters that no font draws, and how many documents have them. They are refused, or drawn as U+FFFD."""

    documents: Annotated[int, Field(description="Number of documents with at least one of them.")]
    scripts: Annotated[list[UndrawableScript], Field(description="The ten scripts that cost most documents.")] = Field(
        default_factory=list
    )
    characters: Annotated[
        list[UndrawableCharacter], Field(description="The ten characters that cost most documents.")
    ] = Field(default_factory=list)


class PlanStatus(ApiModel):
    """What the plan step decided."""

    revision: Annotated[str, Field(description="Pinned revision of the source.")]
    digest: Annotated[
        str, Field(description="sha256 of the plan. It also names the staging folder, unless staging is set.")
    ]
    staging: Annotated[
        str, Field(description="sha256 of what was known before the rows were read. It names the staging folder.")
    ] = ""
    splits: Annotated[list[PlannedSplit], Field(description="Number of documents to render, by split.")]
    shards: Annotated[int, Field(description="Number of shards. Each shard is rendered on its own.")]
    dropped: Annotated[list[DroppedRows], Field(description="Number of rows that the plan dropped, by reason.")] = (
        Field(default_factory=list)
    )
    columns: Annotated[
        list[ReadColumns], Field(description="The columns that were read, as the spec names them or by a guess.")
    ] = Field(default_factory=list)
    skipped_files: Annotated[
        list[SkippedFiles], Field(description="Files of the source that are not read, by reason.")
    ] = Field(default_factory=list)
    undrawable: Annotated[
        Undrawable | None, Field(description="Characters that no font draws. Unset if there are none.")
    ] = None


class GenerationProgress(ApiModel):
    shards_total: Annotated[int, Field(description="Number of shards in the plan.")] = 0
    shards_done: Annotated[int, Field(description="Number of shards that are rendered.")] = 0
    failed_indexes: Annotated[str, Field(description="Shards that failed for good, as intervals such as 1,3-5.")] = ""
    rows: Annotated[int, Field(description="Documents rendered so far.")] = 0
    pages: Annotated[int, Field(description="Pages rendered so far.")] = 0
    bytes: Annotated[int, Field(description="Size of the parquet files written so far, in bytes.")] = 0
    pages_per_second: Annotated[str, Field(description="Pages per second over all pods, rounded.")] = ""
    percentage: Annotated[int, Field(description="Percentage of the documents rendered so far.")] = 0
    estimated_completion_time: Annotated[Time | None, Field(description="When rendering is expected to end.")] = None
    dropped: Annotated[list[DroppedRows], Field(description="Number of rows dropped, by reason.")] = Field(
        default_factory=list
    )
    replaced_characters: Annotated[
        int, Field(description="Number of characters drawn as U+FFFD, if filters.undrawable is replace.")
    ] = 0
    updated_time: Annotated[Time | None, Field(description="When any of these fields last changed.")] = None
    waiting: Annotated[str, Field(description="What a pod waits for, such as the Hub's rate limit.")] = ""


BYTES_PER_TEXT_TOKEN: Final = 4
"""Of UTF-8, in estimates: a letter of English is one byte, of Greek or Arabic two, of Hindi or Chinese three."""
PIXELS_PER_IMAGE_TOKEN: Final = 64
"""Edge of the square that becomes one token, in estimates, as in DeepSeek-OCR: a page of 1024 px has 256."""


class PageDensity(ApiModel):
    """How much text an average page holds."""

    words_per_page: Annotated[int, Field(description="Words between blanks, so few where a script sets none.")]
    characters_per_page: Annotated[int, Field(description="Characters (code points), with blanks.")]
    image_tokens_per_page: Annotated[
        int, Field(description=f"Estimate: one for each square of {PIXELS_PER_IMAGE_TOKEN} pixels, as in DeepSeek-OCR.")
    ]
    text_tokens_per_image_token: Annotated[
        str,
        Field(
            description=(
                f"Estimate of the compression, such as 3.21. A text token is {BYTES_PER_TEXT_TOKEN} bytes of UTF-8."
            )
        ),
    ]


class OutputStatus(ApiModel):
    """The published dataset."""

    uri: Annotated[str, Field(description="URI of the published dataset.")]
    revision: Annotated[str, Field(description="Commit on the Hub, or sha256 of the manifest for a folder.")]
    rows: Annotated[int, Field(description="Number of documents in the published dataset.")]
    pages: Annotated[int, Field(description="Number of pages in the published dataset.")]
    bytes: Annotated[int, Field(description="Size of the published parquet files, in bytes.")]
    manifest_sha256: Annotated[str, Field(description="sha256 of deepsynth/manifest.json.")]
    dropped_path: Annotated[
        str,
        Field(
            description=(
                "Path in the dataset of the file that lists the dropped rows: place and reason of each, without texts. "
                "Empty if there is none."
            )
        ),
    ] = ""
    density: Annotated[
        PageDensity | None,
        Field(description="How much text an average page holds. Unset if an earlier version rendered some of it."),
    ] = None


class LastFailure(ApiModel):
    """The newest failure of a pod, kept because the Job controller deletes pods."""

    time: Annotated[Time, Field(description="When the container of the pod ended.")]
    step: Annotated[str, Field(description="The step that failed: plan, render or publish.")]
    index: Annotated[int | None, Field(description="Shard of the pod, if the step is render.")] = None
    reason: Annotated[str, Field(description="Reason of the failure, one CamelCase word.")]
    message: Annotated[
        str, Field(description="Human-readable description of what happened, with the remedy if there is one.")
    ]
    exit_code: Annotated[
        int | None,
        Field(description="Exit code of the container, such as 64 for a wrong configuration or 65 for bad data."),
    ] = None
    node: Annotated[str | None, Field(description="Node on which the pod ran.")] = None


class GenerationSummary(ApiModel):
    """Text of the printer columns: a column prints one field, and numbers only raw."""

    progress: Annotated[str, Field(description="Percentage of the documents rendered, such as 42%.")] = ""
    pages: Annotated[str, Field(description="Number of pages rendered, such as 12345.")] = ""
    rate: Annotated[str, Field(description="Pages per second over all pods.")] = ""
    eta: Annotated[str, Field(description="Estimated time left, such as 2h5m.")] = ""
    shards: Annotated[str, Field(description="Shards done and shards in total, such as 7/40.")] = ""
    source: Annotated[str, Field(description="The preset, or the URI of the source.")] = ""
    output: Annotated[str, Field(description="URI of the published dataset.")] = ""
    reason: Annotated[
        str,
        Field(
            description=(
                "Why the resource is in this state, such as ImagePullBackOff. The condition Complete says more."
            )
        ),
    ] = ""


class SettledPods(ApiModel):
    """Time of pods that ended before a moment. They are not counted again, and may be gone."""

    time: Annotated[Time, Field(description="When pods were last counted: those that had ended by then.")]
    pod_seconds: Annotated[int, Field(description="Seconds for which they ran, added up.")] = 0
    lost_pod_seconds: Annotated[int, Field(description="Part of podSeconds of pods that did not succeed.")] = 0


class ChildJob(ContainerUsage):
    """A Job of the resource. Its entry is written before the Job is created."""

    step: Annotated[
        Literal["plan", "render", "publish"], Field(description="The step that the Job does: plan, render or publish.")
    ]
    name: Annotated[str, Field(description="Name of the Job in the resource's namespace.")]
    number: Annotated[int, Field(description="Number of the Job within its step: 1, 2, 3 and so on.")] = 1
    uid: Annotated[str, Field(description="uid of the Job, once the operator has seen it.")] = ""
    start_time: Annotated[Time, Field(description="When the operator decided to create the Job.")]
    running_time: Annotated[Time | None, Field(description="When the first container of the Job started.")] = None
    end_time: Annotated[Time | None, Field(description="When the operator saw that the Job was over.")] = None
    outcome: Annotated[StepOutcome | None, Field(description="How the Job ended. Unset while it runs.")] = None
    reason: Annotated[str, Field(description="Reason of the outcome, one CamelCase word.")] = ""
    message: Annotated[str, Field(description="Human-readable description of what happened.")] = ""
    obstacle: Annotated[
        str,
        Field(
            json_schema_extra=max_characters(512),
            description=(
                "What last kept the pods of the Job from starting, such as an image that cannot be pulled. Empty "
                "once they have started."
            ),
        ),
    ] = ""
    image: Annotated[str, Field(description="Container image of the pods of the Job.")] = ""
    shards_done: Annotated[
        int, Field(description="Number of shards done when the Job ended, including those of earlier Jobs.")
    ] = 0
    first_shard: Annotated[int, Field(description="First shard of the Job, if the step is render.")] = 0
    shards: Annotated[
        int | None, Field(description="Number of shards of the Job. Unset if it renders all, or the step is another.")
    ] = None
    staging: Annotated[
        str, Field(description="sha256 that names the folder of the shards. Empty if it is that of the plan.")
    ] = ""
    cpus_per_pod: Annotated[
        str | None, Field(description="CPUs that each pod of the Job requested, such as 2 or 500m.")
    ] = None
    price: Annotated[HourlyPrice | None, Field(description="Price of each pod, as of when the first one started.")] = (
        None
    )
    pod_seconds: Annotated[int, Field(description="Seconds for which the pods of the Job ran, added up.")] = 0
    lost_pod_seconds: Annotated[int, Field(description="Part of podSeconds of pods that did not succeed.")] = 0
    settled: Annotated[
        SettledPods | None,
        Field(description="Part of podSeconds of pods that ended some minutes ago. Unset until there are any."),
    ] = None


class RenderAhead(ApiModel):
    """The shards that can be rendered while the plan step still reads, and the Job that renders some of them."""

    revision: Annotated[str, Field(description="Pinned revision of the source.")]
    staging: Annotated[str, Field(description="sha256 that names the staging folder.")]
    staged_shards: Annotated[int, Field(description="Number of shards that the plan step has staged so far.")]
    job: Annotated[ChildJob | None, Field(description="The newest Job that renders them.")] = None


class DatasetGenerationStatus(ApiModel):
    """Observed state."""

    observed_generation: Annotated[
        int, Field(description="The metadata.generation that this status was computed from.")
    ] = -1
    conditions: Annotated[
        list[Condition],
        Field(
            description="Conditions of the resource: Complete, Failed, Suspended, Published, Reconciling, Stalled.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = Field(default_factory=list)
    state: Annotated[
        GenerationState | None,
        Field(description="State of the resource in one word, for humans. Programs should read the conditions."),
    ] = None
    start_time: Annotated[
        Time | None,
        Field(description="When the first Job was created. From then on, what is rendered can no longer change."),
    ] = None
    completion_time: Annotated[Time | None, Field(description="When the resource completed or failed.")] = None
    plan: Annotated[PlanStatus | None, Field(description="What the plan step decided.")] = None
    ahead: Annotated[
        RenderAhead | None, Field(description="What is rendered while the plan step still reads. Unset afterwards.")
    ] = None
    jobs: Annotated[
        list[ChildJob],
        Field(description="The last ten Jobs of each step, in the order in which they ended, the live one last."),
    ] = Field(default_factory=list)
    progress: Annotated[
        GenerationProgress | None, Field(description="Progress of the rendering: shards, documents, pages.")
    ] = None
    output: Annotated[OutputStatus | None, Field(description="The published dataset, once it is complete.")] = None
    pending_notification: Outbox = None
    usage: Annotated[
        ContainerUsage, Field(description="CPU time and cost of all pods, and the part of pods that did not succeed.")
    ] = ContainerUsage.defaults()
    last_failure: Annotated[LastFailure | None, Field(description="The newest failure of a pod.")] = None
    summary: Annotated[GenerationSummary, Field(description="Text of the printer columns.")] = (
        GenerationSummary.defaults()
    )
