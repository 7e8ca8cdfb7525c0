"""TrainingRun: fine-tune a vision-language model on page images."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.base import ApiModel, ObjectMeta, Quantity, SecretReference
from deepsynth_api.v1alpha1.patterns import (
    FOLDER,
    HUB_DATASET,
    HUB_MODEL,
    SMALL_MODEL,
    Image,
    ObjectName,
    Revision,
    matching,
)
from deepsynth_api.v1alpha1.pod_template import PodTemplate, ResourceRequirements
from deepsynth_api.v1alpha1.training_run_status import TrainingRunStatus
from deepsynth_api.v1alpha1.training_settings import MODEL_REMEDY, DatasetSplits, ModelSettings, TrainingSettings


class DatasetGenerationReference(ApiModel):
    name: Annotated[ObjectName, Field(description="Name of a DatasetGeneration in this namespace.")]


class Dataset(DatasetSplits):
    """A dataset of pages: the output of a DatasetGeneration, or one that exists."""

    dataset_generation_ref: Annotated[
        DatasetGenerationReference | None,
        Field(description="Wait for this resource and pin the revision it published. Set this or uri."),
    ] = None
    uri: Annotated[
        str | None,
        matching(
            f"{HUB_DATASET}|{FOLDER}",
            "write hf://datasets/OWNER/NAME, pvc://CLAIM/PATH or file:///PATH, without '..'",
            max_length=1024,
            description="hf://datasets/OWNER/NAME, pvc://CLAIM/PATH or file:///PATH.",
        ),
    ] = None
    revision: Annotated[Revision | None, Field(description="Branch, tag or commit; pinned in status.")] = None
    secret_ref: Annotated[SecretReference | None, Field(description="Secret with HF_TOKEN for a private dataset.")] = (
        None
    )


class CacheSettings(ApiModel):
    """Node-local room for the dataset in Arrow form."""

    size_limit: Annotated[
        Quantity, Field(description="Size of the volume; too small a one ends the run with the figure.")
    ] = "50Gi"


class TrainingRunReference(ApiModel):
    name: Annotated[ObjectName, Field(description="Name of a TrainingRun in this namespace.")]


class RunModelSettings(ModelSettings):
    """The model to start from: uri, or what another run produced."""

    uri: Annotated[
        str,
        matching(
            f"|{HUB_MODEL}|{FOLDER}|{SMALL_MODEL}",
            MODEL_REMEDY,
            max_length=1024,
            description=(
                "hf://OWNER/NAME, pvc://CLAIM/PATH, file:///PATH, or config://NAME for a small random "
                "model: deepseek-ocr2-tiny, vit-gpt2-tiny."
            ),
        ),
    ] = ""
    training_run_ref: Annotated[
        TrainingRunReference | None,
        Field(description="Start from the final model of this TrainingRun, once it is Complete. Set this or uri."),
    ] = None


class TrainingRunSpec(TrainingSettings):
    """Desired state. What it describes is fixed once status.startTime is set."""

    model: Annotated[RunModelSettings, Field(description="The model to start from, and which parts of it to train.")]
    datasets: Annotated[
        list[Dataset],
        Field(
            min_length=1,
            max_length=32,
            description="The datasets of pages to train on, mixed by weight.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ]
    num_nodes: Annotated[
        int, Field(ge=1, le=1024, description="Pods of an attempt, which run together or not at all.")
    ] = 1
    num_proc_per_node: Annotated[
        int | None, Field(ge=1, le=64, description="Processes per pod; default: its GPUs, else 1.")
    ] = None
    resources_per_node: Annotated[
        ResourceRequirements, Field(description="Resources of each pod. GPUs go to limits as nvidia.com/gpu.")
    ] = ResourceRequirements()
    cache: Annotated[CacheSettings, Field(description="Node-local room for the dataset.")] = CacheSettings()
    backoff_limit: Annotated[
        int, Field(ge=0, le=1000, description="Failures that are retried. Disruptions are never counted.")
    ] = 3
    start_timeout_seconds: Annotated[
        int, Field(ge=10, description="Seconds, from the first pod that has a node, for all pods of an attempt to run.")
    ] = 600
    image: Annotated[Image | None, Field(description="Container image; default: the operator's setting.")] = None
    template: Annotated[
        PodTemplate, Field(description="Settings of the pods; their resources are in resourcesPerNode.")
    ] = PodTemplate()
    suspend: Annotated[bool, Field(description="Save, stop and give the GPUs back.")] = False
    active_deadline_seconds: Annotated[
        int | None, Field(ge=1, description="Seconds after startTime at which the run fails.")
    ] = None
    ttl_seconds_after_finished: Annotated[
        int | None,
        Field(ge=0, description="Seconds after completionTime at which Jobs are removed; the resource stays."),
    ] = None


class TrainingRun(ApiModel):
    """Fine-tunes a vision-language model on page images, attempt by attempt, from checkpoint to checkpoint."""

    api_version: Literal["deepsynth.io/v1alpha1"] = "deepsynth.io/v1alpha1"
    kind: Literal["TrainingRun"] = "TrainingRun"
    metadata: ObjectMeta
    spec: Annotated[TrainingRunSpec, Field(description="What to train, on what, and how.")]
    status: Annotated[TrainingRunStatus, Field(description="What the operator observed. Nobody else writes it.")] = (
        TrainingRunStatus()
    )
