"""DatasetGeneration: renders pairs of text and summary into a dataset of page images."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.dataset_generation_status import DatasetGenerationStatus
from deepsynth_api.v1alpha1.pod.pod_template import PodTemplate
from deepsynth_api.v1alpha1.settings.rendering_settings import RenderingSettings, Source
from deepsynth_api.v1alpha1.shared.base import ApiModel, ObjectMeta
from deepsynth_api.v1alpha1.shared.patterns import Image

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
    "xlsum_ar",
    "xlsum_bn",
    "xlsum_fa",
    "xlsum_hi",
    "xlsum_ja",
    "xlsum_ko",
    "xlsum_ru",
    "xlsum_th",
    "xlsum_tr",
    "xlsum_zh",
]


class DatasetGenerationSpec(RenderingSettings):
    """Desired state. Once status.startTime is set, most fields are immutable."""

    preset: Annotated[
        PresetName | None,
        Field(
            description=(
                "Name of a well-known dataset, in place of a source and its columns. Set exactly one of "
                "preset and source."
            )
        ),
    ] = None
    source: Annotated[
        Source | None, Field(description="Where the text comes from. Set exactly one of preset and source.")
    ] = None
    parallelism: Annotated[
        int, Field(ge=1, le=10_000, description="Maximum number of shards rendered at the same time.")
    ] = 4
    backoff_limit_per_index: Annotated[
        int, Field(ge=0, le=100, description="How often a failed shard is retried before it counts as failed.")
    ] = 3
    max_failed_indexes: Annotated[
        int | None,
        Field(
            ge=0,
            le=10_000,
            description=(
                "If more shards than this fail, the remaining shards are not rendered. Any failed shard fails the"
                " resource."
            ),
        ),
    ] = None
    image: Annotated[
        Image | None, Field(description="Container image of the pods; default: the operator's setting.")
    ] = None
    template: Annotated[
        PodTemplate, Field(description="Settings of the pods of all steps: plan, render and publish.")
    ] = PodTemplate.defaults()
    suspend: Annotated[
        bool, Field(description="Stop the pods and keep the finished shards. Set it to false to continue.")
    ] = False
    active_deadline_seconds: Annotated[
        int | None, Field(ge=1, description="Seconds after status.startTime at which an unfinished resource fails.")
    ] = None
    ttl_seconds_after_finished: Annotated[
        int | None,
        Field(
            ge=0,
            description=(
                "Seconds after status.completionTime at which the Jobs and their pods are deleted. The resource "
                "itself stays."
            ),
        ),
    ] = None


class DatasetGeneration(ApiModel):
    """Renders a dataset of texts and summaries into page images and publishes them."""

    api_version: Literal["deepsynth.io/v1alpha1"] = "deepsynth.io/v1alpha1"
    kind: Literal["DatasetGeneration"] = "DatasetGeneration"
    metadata: ObjectMeta
    spec: Annotated[DatasetGenerationSpec, Field(description="What to render, and where to publish it.")]
    status: Annotated[DatasetGenerationStatus, Field(description="Observed state, written only by the operator.")] = (
        DatasetGenerationStatus.defaults()
    )
