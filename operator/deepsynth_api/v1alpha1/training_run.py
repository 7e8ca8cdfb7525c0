"""TrainingRun: fine-tune a vision-language model on page images."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.pod.pod_template import PodTemplate, ResourceRequirements
from deepsynth_api.v1alpha1.settings.model_settings import MODEL_REMEDY, ModelSettings
from deepsynth_api.v1alpha1.settings.training_settings import DatasetSplits, TrainingSettings
from deepsynth_api.v1alpha1.shared.base import ApiModel, ObjectMeta, Quantity, SecretReference
from deepsynth_api.v1alpha1.shared.patterns import (
    FOLDER,
    HUB_DATASET,
    HUB_MODEL,
    NO_CREDENTIALS,
    OBJECT_FORMS,
    OBJECTS,
    RANDOM_MODEL,
    Folder,
    Image,
    ObjectName,
    Revision,
    matching,
)
from deepsynth_api.v1alpha1.training_run_status import TrainingRunStatus


class DatasetGenerationReference(ApiModel):
    name: Annotated[ObjectName, Field(description="Name of a DatasetGeneration in this namespace.")]


class Dataset(DatasetSplits):
    """A dataset of pages: the output of a DatasetGeneration, or an existing dataset."""

    dataset_generation_ref: Annotated[
        DatasetGenerationReference | None,
        Field(description="Wait for this DatasetGeneration, then pin the revision that it published. Set this or uri."),
    ] = None
    uri: Annotated[
        str | None,
        matching(
            f"{HUB_DATASET}|{OBJECTS}|{FOLDER}",
            f"must be hf://datasets/OWNER/NAME, {OBJECT_FORMS}, pvc://CLAIM/PATH or file:///PATH, {NO_CREDENTIALS}",
            max_length=1024,
            description=(
                f"Where the dataset is: hf://datasets/OWNER/NAME, {OBJECT_FORMS}, pvc://CLAIM/PATH or file:///PATH. "
                "Set this or datasetGenerationRef."
            ),
        ),
    ] = None
    revision: Annotated[
        Revision | None,
        Field(description="Branch, tag or commit of a Hub dataset. It is resolved once and pinned in status.datasets."),
    ] = None
    secret_ref: Annotated[
        SecretReference | None,
        Field(description="Secret with the key HF_TOKEN, or those of an object store, for a private dataset."),
    ] = None


class FeatureCacheSettings(ApiModel):
    """Features of pages on disk: what the frozen vision part of the model makes of a page is computed once."""

    uri: Annotated[
        Folder | None,
        Field(
            description=(
                "Folder of the features, which runs can share. Default: in the node-local cache, which is deleted with "
                "the pod."
            )
        ),
    ] = None
    size_limit: Annotated[
        Quantity,
        Field(
            description=(
                "Upper limit for the size of the folder; without uri it is added to cache.sizeLimit. A page of "
                "DeepSeek-OCR-2 takes 0.5 MB, and 0.3 MB per tile. When the folder is full, features of models that no "
                "run has used for a day are deleted; then no more are stored, and other pages are computed each time."
            )
        ),
    ] = "20Gi"


class CacheSettings(ApiModel):
    """Cache of datasets in Arrow format, files of the model, and features of pages."""

    uri: Annotated[
        Folder | None,
        Field(
            description=(
                "Folder that outlives the attempts, which nodes and runs share: each file of a dataset or of a remote "
                "model is fetched once, and verified when it is used. Default: datasets and models are fetched to each "
                "node by each attempt, and deleted with the pod."
            )
        ),
    ] = None
    size_limit: Annotated[
        Quantity,
        Field(
            description=(
                "Upper limit for what the datasets take on a node. With uri also for the size of that folder: when it "
                "is full, files that no run uses are deleted, the least recently used first, and what still does not "
                "fit is kept on the node. If the datasets do not fit there, the run fails and its message names the "
                "size needed."
            )
        ),
    ] = "50Gi"
    stream: Annotated[
        bool,
        Field(
            description=(
                "Begin to train before the datasets are on the node: texts and the validation split are fetched first, "
                "pages are read from the store as the steps need them, and files arrive in the background, as far as "
                "sizeLimit allows. The samples of a step are the same. For models with a fixed number of positions per "
                "page, and datasets with a validation split or without evaluation; otherwise it has no effect, and a "
                "note says why."
            )
        ),
    ] = False
    features: Annotated[
        FeatureCacheSettings | None,
        Field(
            description=(
                "Keep what the vision part makes of a page on disk, and neither decode the page nor compute that again "
                "in later epochs, evaluations and runs. For a vision part that is frozen and has no adapters and no "
                "dropout, and without sharding; otherwise it has no effect, and a note says why. Default: features are "
                "not kept, because a run of one epoch gains little and they take more disk than the pages."
            )
        ),
    ] = None


class TrainingRunReference(ApiModel):
    name: Annotated[ObjectName, Field(description="Name of a TrainingRun in this namespace.")]
    checkpoint: Annotated[
        str | None,
        matching(
            "latest|best|step-[1-9][0-9]*",
            "must be latest, best or step-N, such as step-1200",
            max_length=32,
            description=(
                "Start from a checkpoint of the run, which need not be Complete: latest, best or step-N. It is looked "
                "up once, when this run starts, and must stay until this run has ended: while the other run trains, "
                "its checkpoint.keepLast may delete it. Default: the final model, once the run is Complete."
            ),
        ),
    ] = None


class RunModelSettings(ModelSettings):
    """The model to start from: a URI, or the final model of another run."""

    uri: Annotated[
        str,
        matching(
            f"|{HUB_MODEL}|{OBJECTS}|{FOLDER}|{RANDOM_MODEL}",
            MODEL_REMEDY,
            max_length=1024,
            description=(
                f"Where the model is: hf://OWNER/NAME, {OBJECT_FORMS}, pvc://CLAIM/PATH, file:///PATH, or "
                "config://NAME for a "
                "model with random weights: deepseek-ocr2-tiny, vit-gpt2-tiny and page-reader-small are small, "
                "deepseek-ocr2 has the published size. Set this or trainingRunRef."
            ),
        ),
    ] = ""
    training_run_ref: Annotated[
        TrainingRunReference | None,
        Field(
            description=(
                "Start from the final model of this TrainingRun, once it is Complete, or from one of its checkpoints. "
                "Set this or uri."
            )
        ),
    ] = None


class SchedulingSettings(ApiModel):
    """How the pods of an attempt get their nodes."""

    gang: Annotated[
        bool,
        Field(
            description=(
                "Start all pods of an attempt at once, or none of them. template.schedulerName must be one of "
                "jobs.gangSchedulers in the chart: Volcano, coscheduling, KAI, or that of Kubernetes with the feature "
                "GangScheduling. No effect with one node."
            )
        ),
    ] = False


class ElasticSettings(ApiModel):
    """Work with fewer pods while not all of numNodes find a node."""

    min_nodes: Annotated[
        int,
        Field(
            ge=1,
            le=1024,
            description=(
                "Smallest number of pods of an attempt. The batches stay the same: each pod takes a larger part. With "
                "sharding full it holds a larger part of the model too, so it must fit."
            ),
        ),
    ]
    scale_down_after_seconds: Annotated[
        int,
        Field(
            ge=10,
            le=86_400,
            description=(
                "If only some pods have a node this many seconds after the first one, but at least minNodes, the next "
                "attempt has as many pods. Raise it where an autoscaler adds nodes. startTimeoutSeconds limits it."
            ),
        ),
    ] = 60
    scale_up_after_seconds: Annotated[
        int,
        Field(
            ge=60,
            le=604_800,
            description=(
                "After this many seconds of work with fewer pods, and once it has saved a checkpoint, the run saves, "
                "stops and tries numNodes again. It waits twice as long after each try in vain, up to eight times as "
                "long. No effect in a queue."
            ),
        ),
    ] = 1800


class TrainingRunSpec(TrainingSettings):
    """Desired state. Once status.startTime is set, what the batches or the model depend on is immutable.

    The number of steps, evaluation, how often to save, tracking and where the pods run may change while the run is
    suspended or finished. A finished run continues from its last checkpoint when it gets more steps.
    """

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
        int, Field(ge=1, le=1024, description="Number of pods of an attempt. Training begins when all of them run.")
    ] = 1
    elastic: Annotated[
        ElasticSettings | None,
        Field(
            description=(
                "Start with fewer pods than numNodes while nodes are missing, and return to numNodes later; default: "
                "wait for all of them."
            )
        ),
    ] = None
    num_proc_per_node: Annotated[
        int | None,
        Field(
            ge=1,
            le=64,
            description="Number of processes per pod; default: the number of the pod's GPUs, or 1 without GPUs.",
        ),
    ] = None
    resources_per_node: Annotated[
        ResourceRequirements,
        Field(description="Compute resources of each pod. Put GPUs into limits as nvidia.com/gpu."),
    ] = ResourceRequirements.defaults()
    scheduling: Annotated[SchedulingSettings, Field(description="How the pods of an attempt get their nodes.")] = (
        SchedulingSettings.defaults()
    )
    cache: Annotated[
        CacheSettings,
        Field(description="Cache of datasets in Arrow format, files of the model, and features of pages."),
    ] = CacheSettings.defaults()
    backoff_limit: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Number of failed attempts that are repeated before the run fails. Disruptions do not count.",
        ),
    ] = 3
    start_timeout_seconds: Annotated[
        int,
        Field(
            ge=10,
            description=(
                "Seconds within which all pods of an attempt must run, counted from the first pod that has a "
                "node. Otherwise the attempt ends and is repeated."
            ),
        ),
    ] = 600
    image: Annotated[
        Image | None, Field(description="Container image of the pods; default: the operator's setting.")
    ] = None
    template: Annotated[
        PodTemplate, Field(description="Settings of the pods. Their resources are in resourcesPerNode.")
    ] = PodTemplate.defaults()
    suspend: Annotated[
        bool, Field(description="Save a checkpoint, stop the pods and free the GPUs. Set it to false to continue.")
    ] = False
    active_deadline_seconds: Annotated[
        int | None,
        Field(
            ge=1,
            description=(
                "Seconds after status.startTime at which an unfinished run fails. For a finished run that continues "
                "they count from then on."
            ),
        ),
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


class TrainingRun(ApiModel):
    """Fine-tunes a vision-language model on page images. Each attempt resumes from the newest checkpoint."""

    api_version: Literal["deepsynth.io/v1alpha1"] = "deepsynth.io/v1alpha1"
    kind: Literal["TrainingRun"] = "TrainingRun"
    metadata: ObjectMeta
    spec: Annotated[TrainingRunSpec, Field(description="What to train, on which data, and how.")]
    status: Annotated[TrainingRunStatus, Field(description="Observed state, written only by the operator.")] = (
        TrainingRunStatus.defaults()
    )
