"""DatasetGeneration: text and summary pairs in, a dataset of page images out."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.base import ApiModel, ObjectMeta
from deepsynth_api.v1alpha1.dataset_generation_status import DatasetGenerationStatus
from deepsynth_api.v1alpha1.patterns import Image
from deepsynth_api.v1alpha1.pod_template import PodTemplate
from deepsynth_api.v1alpha1.rendering_settings import RenderingSettings, Source

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
    image: Annotated[Image | None, Field(description="Container image; default: the operator's setting.")] = None
    template: Annotated[
        PodTemplate, Field(description="Settings of the pods of all three steps: plan, render and publish.")
    ] = PodTemplate()
    suspend: Annotated[bool, Field(description="Stop the pods and keep what is finished.")] = False
    active_deadline_seconds: Annotated[
        int | None, Field(ge=1, description="Seconds after startTime at which the resource fails.")
    ] = None
    ttl_seconds_after_finished: Annotated[
        int | None,
        Field(ge=0, description="Seconds after completionTime at which Jobs are removed; the resource stays."),
    ] = None


class DatasetGeneration(ApiModel):
    """Renders a text and summary dataset into page images and publishes them."""

    api_version: Literal["deepsynth.io/v1alpha1"] = "deepsynth.io/v1alpha1"
    kind: Literal["DatasetGeneration"] = "DatasetGeneration"
    metadata: ObjectMeta
    spec: Annotated[DatasetGenerationSpec, Field(description="What to render and where to publish it.")]
    status: Annotated[
        DatasetGenerationStatus, Field(description="What the operator observed. Nobody else writes it.")
    ] = DatasetGenerationStatus()
