"""TrainingRun: fine-tune a vision-language model on page images."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.base import (
    ApiModel,
    Condition,
    Decimal,
    Fraction,
    ObjectMeta,
    Quantity,
    SecretReference,
    Time,
)
from deepsynth_api.v1alpha1.dataset_generation import DroppedRows
from deepsynth_api.v1alpha1.pod_template import PodTemplate, ResourceRequirements

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
Metric = Literal["loss", "rouge"]


class LoraSettings(ApiModel):
    """Low-rank adapters (arXiv 2106.09685) instead of full fine-tuning."""

    rank: Annotated[int, Field(ge=1, le=1024, description="Rank of the adapters.")] = 16
    alpha: Annotated[int, Field(ge=1, le=4096, description="Scale of the adapters; often twice the rank.")] = 32
    dropout: Annotated[Fraction, Field(description="Dropout before the adapters.")] = "0.05"
    target_modules: Annotated[
        list[str],
        Field(max_length=64, description="Names of the linear layers; default: attention projections."),
    ] = Field(default=["q_proj", "k_proj", "v_proj", "o_proj"])


class ModelSettings(ApiModel):
    """The model to start from."""

    uri: Annotated[
        str,
        Field(
            pattern=r"^(hf://[^/]+/[^/]+|(file|pvc)://.+|config://[a-z0-9-]+)$",
            max_length=1024,
            description=(
                "hf://OWNER/NAME, pvc://CLAIM/PATH, file:///PATH, or config://NAME for a small random "
                "model: deepseek-ocr2-tiny, vit-gpt2-tiny."
            ),
        ),
    ]
    revision: Annotated[str | None, Field(description="Branch, tag or commit on the Hub.")] = None
    secret_ref: Annotated[SecretReference | None, Field(description="Secret with HF_TOKEN for a private model.")] = None
    freeze: Annotated[
        list[Literal["vision", "language"]], Field(description="Parts whose weights stay as they are.")
    ] = Field(default_factory=list)
    lora: Annotated[LoraSettings | None, Field(description="Train adapters only.")] = None


class ImageProcessorSettings(ApiModel):
    """How pages reach the model."""

    size: Annotated[
        int | None,
        Field(ge=64, le=2048, description="Side of the global view, pixels; default: the model's own."),
    ] = None
    max_tiles: Annotated[
        int, Field(ge=0, le=32, description="Most local tiles beside the global view; 0: global view only.")
    ] = 0


class OptimizerSettings(ApiModel):
    """AdamW (arXiv 1711.05101). Norms and biases are not decayed."""

    learning_rate: Annotated[Decimal, Field(description="Peak learning rate.")] = "0.0002"
    weight_decay: Annotated[Decimal, Field(description="Decoupled weight decay.")] = "0.01"
    betas: Annotated[list[Fraction], Field(min_length=2, max_length=2, description="Decay rates of the moments.")] = (
        Field(default=["0.9", "0.999"])
    )
    max_grad_norm: Annotated[Decimal, Field(description="Clip the global gradient norm to this; 0: never.")] = "1.0"
    schedule: Annotated[
        Literal["cosine", "linear", "constant"], Field(description="Learning rate after the warm-up.")
    ] = "cosine"
    warmup_steps: Annotated[int | None, Field(ge=0, description="Optimizer steps of linear warm-up.")] = None
    warmup_ratio: Annotated[
        Fraction | None, Field(description="Warm-up as a share of all steps; not together with warmupSteps.")
    ] = None


class CheckpointSettings(ApiModel):
    """Where and how often the training state is saved."""

    uri: Annotated[
        str,
        Field(
            pattern=r"^(file|pvc)://.+$",
            max_length=1024,
            description="pvc://CLAIM/PATH or file:///PATH. The claim must be ReadWriteMany when numNodes is above 1.",
        ),
    ]
    every_steps: Annotated[int | None, Field(ge=1, description="Save every so many optimizer steps.")] = None
    every_seconds: Annotated[
        int | None,
        Field(ge=1, description="Save when so many seconds have passed; default 600 when everySteps is not set."),
    ] = None
    keep_last: Annotated[int, Field(ge=1, le=1000, description="How many of the newest to keep.")] = 3
    keep_best: Annotated[bool, Field(description="Also keep the one with the lowest validation loss.")] = True


class EvaluationSettings(ApiModel):
    """Measuring on the validation split. Text is never read instead of the image."""

    every_steps: Annotated[
        int | None,
        Field(ge=1, description="Evaluate every so many optimizer steps; default: at the end of each epoch."),
    ] = None
    max_samples: Annotated[int, Field(ge=1, description="Validation samples to use, the first ones.")] = 200
    max_new_tokens: Annotated[int, Field(ge=1, description="Most tokens generated per sample for rouge.")] = 256
    metrics: Annotated[
        list[Metric], Field(max_length=8, description="loss; rouge generates from the pages as well.")
    ] = Field(default=["loss"])


class PublishSettings(ApiModel):
    """Where the final model goes."""

    uri: Annotated[
        str,
        Field(
            pattern=r"^(hf://[^/]+/[^/]+|(file|pvc)://.+)$",
            max_length=1024,
            description="hf://OWNER/NAME, pvc:// or file://.",
        ),
    ]
    private: Annotated[bool, Field(description="Create the Hub repository private.")] = True
    format: Annotated[
        Literal["adapter", "merged"], Field(description="With LoRA: the adapter alone, or merged weights.")
    ] = "merged"
    secret_ref: Annotated[
        SecretReference | None, Field(description="Secret with HF_TOKEN that may write the repository.")
    ] = None


class TensorBoardTracking(ApiModel):
    uri: Annotated[str, Field(pattern=r"^(file|pvc)://.+$", description="Folder for the event files.")]


class WandbTracking(ApiModel):
    project: Annotated[str, Field(min_length=1, description="Project on Weights & Biases.")]
    secret_ref: Annotated[SecretReference | None, Field(description="Secret with WANDB_API_KEY.")] = None


class MlflowTracking(ApiModel):
    uri: Annotated[str, Field(pattern=r"^(https?|file)://.+$", description="Tracking server.")]
    secret_ref: Annotated[
        SecretReference | None, Field(description="Secret with MLFLOW_TRACKING_TOKEN or user and password.")
    ] = None


class Tracking(ApiModel):
    """A place that losses and metrics are also written to, by rank 0. Set exactly one."""

    tensorboard: Annotated[TensorBoardTracking | None, Field(description="TensorBoard event files.")] = None
    wandb: Annotated[WandbTracking | None, Field(description="Weights & Biases.")] = None
    mlflow: Annotated[MlflowTracking | None, Field(description="MLflow.")] = None


class TrainingSettings(ApiModel):
    """How to train: the part of the spec that the containers need as it is."""

    model: Annotated[ModelSettings, Field(description="The model to start from.")]
    task: Annotated[
        Literal["summarize", "ocr"],
        Field(description="summarize: all pages of a document to its summary. ocr: a page to its text."),
    ] = "summarize"
    prompt: Annotated[
        str | None, Field(max_length=4096, description="Text after the images; default: the task's own.")
    ] = None
    max_label_tokens: Annotated[
        int | None, Field(ge=1, description="Samples with longer labels are left out and counted.")
    ] = None
    max_sequence_tokens: Annotated[
        int | None,
        Field(
            ge=1,
            description="Samples with more tokens, images included, are left out; default: the model's context.",
        ),
    ] = None
    max_dropped_percent: Annotated[
        int, Field(ge=0, le=100, description="When more samples than this are left out, the run fails.")
    ] = 1
    image_processor: Annotated[ImageProcessorSettings, Field(description="How pages reach the model.")] = (
        ImageProcessorSettings()
    )
    precision: Annotated[
        Literal["bf16", "fp16", "fp32"],
        Field(description="Precision of the computation. Master weights are always fp32."),
    ] = "bf16"
    sharding: Annotated[
        Literal["none", "full"],
        Field(description="none: DDP. full: FSDP2, for models that do not fit one GPU."),
    ] = "none"
    gradient_checkpointing: Annotated[
        bool, Field(description="Recompute activations in the backward pass: less memory, more time.")
    ] = False
    compile: Annotated[bool, Field(description="Use torch.compile.")] = False
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="Seed of data order, dropout and random models.")] = 0
    optimizer: Annotated[OptimizerSettings, Field(description="AdamW and its schedule.")] = OptimizerSettings()
    global_batch_size: Annotated[
        int,
        Field(ge=1, description="Samples per optimizer step over all processes. It never changes on resume."),
    ] = 32
    micro_batch_size: Annotated[int, Field(ge=1, description="Samples per forward pass of one process.")] = 1
    epochs: Annotated[int | None, Field(ge=1, description="Passes over the data; default 1. Not with maxSteps.")] = None
    max_steps: Annotated[int | None, Field(ge=1, description="Optimizer steps. Not with epochs.")] = None
    on_non_finite: Annotated[
        Literal["fail", "skip"],
        Field(description="A loss that is not finite: fail at its second sight, or skip the batch and count it."),
    ] = "fail"
    checkpoint: Annotated[CheckpointSettings, Field(description="Where and how often state is saved.")]
    evaluation: Annotated[EvaluationSettings, Field(description="Measuring on the validation split.")] = (
        EvaluationSettings()
    )
    tracking: Annotated[
        list[Tracking], Field(max_length=4, description="Places that losses and metrics are also written to.")
    ] = Field(default_factory=list)
    publish: Annotated[
        PublishSettings | None, Field(description="Where the final model goes besides the checkpoints.")
    ] = None
    hang_timeout_seconds: Annotated[
        int, Field(ge=10, description="A step without a heartbeat for so long ends the attempt as Hung.")
    ] = 600


class DatasetGenerationReference(ApiModel):
    name: Annotated[
        str, Field(min_length=1, max_length=253, description="Name of a DatasetGeneration in this namespace.")
    ]


class DatasetSplits(ApiModel):
    """Which parts of a dataset to use, and how often."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9]([-a-z0-9_]*[a-z0-9])?$",
            max_length=63,
            description="Name of the dataset in this run.",
        ),
    ]
    train_split: Annotated[str, Field(description="Split to train on.")] = "train"
    validation_split: Annotated[str | None, Field(description="Split to measure on; none if empty.")] = "validation"
    weight: Annotated[
        Decimal, Field(description="How often each sample is seen per epoch; 1: once, 0.5: half of them.")
    ] = "1"


class Dataset(DatasetSplits):
    """A dataset of pages: the output of a DatasetGeneration, or one that exists."""

    dataset_generation_ref: Annotated[
        DatasetGenerationReference | None,
        Field(description="Wait for this resource and pin the revision it published. Set this or uri."),
    ] = None
    uri: Annotated[
        str | None,
        Field(
            pattern=r"^(hf://datasets/[^/]+/[^/]+|(file|pvc)://.+)$",
            max_length=1024,
            description="hf://datasets/OWNER/NAME, pvc://CLAIM/PATH or file:///PATH.",
        ),
    ] = None
    revision: Annotated[str | None, Field(description="Branch, tag or commit; pinned in status.")] = None
    secret_ref: Annotated[SecretReference | None, Field(description="Secret with HF_TOKEN for a private dataset.")] = (
        None
    )


class CacheSettings(ApiModel):
    """Node-local room for the dataset in Arrow form."""

    size_limit: Annotated[
        Quantity, Field(description="Size of the volume; too small a one ends the run with the figure.")
    ] = "50Gi"


class TrainingRunReference(ApiModel):
    name: Annotated[str, Field(min_length=1, max_length=253, description="Name of a TrainingRun in this namespace.")]


class RunModelSettings(ModelSettings):
    """The model to start from: uri, or what another run produced."""

    uri: Annotated[
        str,
        Field(
            pattern=r"^(|hf://[^/]+/[^/]+|(file|pvc)://.+|config://[a-z0-9-]+)$",
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

    model: Annotated[RunModelSettings, Field(description="The model to start from.")]
    datasets: Annotated[
        list[Dataset],
        Field(
            min_length=1,
            max_length=32,
            description="What to train on.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ]
    num_nodes: Annotated[int, Field(ge=1, le=1024, description="Pods of an attempt.")] = 1
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
    start_timeout_seconds: Annotated[int, Field(ge=10, description="Seconds for all pods of an attempt to run.")] = 600
    image: Annotated[str | None, Field(description="Container image; default: the operator's setting.")] = None
    template: Annotated[PodTemplate, Field(description="Settings of the pods.")] = PodTemplate()
    suspend: Annotated[bool, Field(description="Save, stop and give the GPUs back.")] = False
    active_deadline_seconds: Annotated[
        int | None, Field(ge=1, description="Seconds after startTime at which the run fails.")
    ] = None
    ttl_seconds_after_finished: Annotated[
        int | None,
        Field(ge=0, description="Seconds after completionTime at which Jobs are removed; the resource stays."),
    ] = None


class TrainingProgress(ApiModel):
    step: Annotated[int, Field(description="Optimizer steps done.")] = 0
    total_steps: Annotated[int, Field(description="Optimizer steps to do.")] = 0
    epoch: Annotated[str, Field(description="Passes over the data, such as 1.25.")] = ""
    percentage: Annotated[int, Field(description="Share of the steps done, percent.")] = 0
    samples_per_second: Annotated[str, Field(description="Over all processes.")] = ""
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
    name: Annotated[str, Field(description="Name in spec.datasets.")]
    uri: Annotated[str, Field(description="Where it is.")]
    revision: Annotated[str | None, Field(description="Commit or manifest digest that every attempt reads.")] = None
    rows: Annotated[int | None, Field(description="Documents.")] = None


class CheckpointStatus(ApiModel):
    step: Annotated[int, Field(description="Optimizer step it holds.")]
    uri: Annotated[str, Field(description="Folder.")]
    time: Annotated[Time, Field(description="When it was complete.")]
    bytes: Annotated[int, Field(description="Size.")] = 0
    sha256: Annotated[str, Field(description="sha256 of its manifest.")] = ""
    loss: Annotated[str, Field(description="Validation loss, where it was measured.")] = ""


class MetricValue(ApiModel):
    name: Annotated[str, Field(description="Name, such as validation_loss or validation_loss_swapped.")]
    value: Annotated[str, Field(description="Value as a decimal string.")]
    step: Annotated[int | None, Field(description="Step it was measured at.")] = None


class Attempt(ApiModel):
    """One try to run all processes together."""

    number: Annotated[int, Field(description="1, 2, 3 and so on; never reused.")]
    start_time: Annotated[Time, Field(description="When the attempt was decided on.")]
    held_time: Annotated[Time | None, Field(description="When its first container started.")] = None
    running_time: Annotated[Time | None, Field(description="When all its pods ran.")] = None
    end_time: Annotated[
        Time | None, Field(description="When it was over. With an outcome but no endTime it is ending.")
    ] = None
    job: Annotated[str, Field(description="Name of its Job.")]
    job_uid: Annotated[str, Field(description="uid of its Job, once that was seen.")] = ""
    image: Annotated[str, Field(description="Resolved image.")] = ""
    resumed_from_step: Annotated[int | None, Field(description="Step of the checkpoint it began from.")] = None
    last_step: Annotated[int | None, Field(description="Last step it reported.")] = None
    saved_step: Annotated[int | None, Field(description="Newest step it saved beyond all earlier checkpoints.")] = None
    saved_time: Annotated[Time | None, Field(description="When it saved that step.")] = None
    outcome: Annotated[AttemptOutcome | None, Field(description="How it ended; empty while it lives.")] = None
    reason: Annotated[str, Field(description="CamelCase reason of the outcome.")] = ""
    exit_code: Annotated[int | None, Field(description="Exit code of the root cause.")] = None
    rank: Annotated[int | None, Field(description="Rank of the root cause.")] = None
    node: Annotated[str | None, Field(description="Node of the root cause.")] = None
    failed_step: Annotated[int | None, Field(description="Step at which it failed, where the cause names one.")] = None
    failed_time: Annotated[Time | None, Field(description="When the container of the root cause ended.")] = None
    message: Annotated[str, Field(description="What happened.")] = ""
    gpu_seconds: Annotated[int, Field(description="GPU-seconds it held.")] = 0
    lost_gpu_seconds: Annotated[int, Field(description="Of these, after its last checkpoint.")] = 0


class Usage(ApiModel):
    gpu_seconds: Annotated[int, Field(description="GPU-seconds held by attempts.")] = 0
    lost_gpu_seconds: Annotated[int, Field(description="Of these, not behind a step that was kept.")] = 0


class ModelOutput(ApiModel):
    uri: Annotated[str, Field(description="Where the final model is.")]
    revision: Annotated[str | None, Field(description="Commit on the Hub, where it is there.")] = None


class RunSummary(ApiModel):
    """The strings that the printer columns show."""

    progress: str = ""
    step: str = ""
    loss: str = ""
    eta: str = ""
    checkpoint: str = ""
    nodes: str = ""
    dataset: str = ""
    samples_per_second: str = ""
    model: str = ""


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
    state: Annotated[RunState | None, Field(description="One word for people.")] = None
    start_time: Annotated[Time | None, Field(description="When the run was accepted and its datasets pinned.")] = None
    completion_time: Annotated[Time | None, Field(description="When it completed or failed.")] = None
    progress: Annotated[TrainingProgress | None, Field(description="How far training is.")] = None
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
    metrics: Annotated[list[MetricValue], Field(description="Newest values.")] = Field(default_factory=list)
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
    usage: Annotated[Usage, Field(description="GPU time.")] = Usage()
    output: Annotated[ModelOutput | None, Field(description="The final model.")] = None
    summary: Annotated[RunSummary, Field(description="Strings for the printer columns.")] = RunSummary()


class TrainingRun(ApiModel):
    """Fine-tunes a vision-language model on page images, attempt by attempt, from checkpoint to checkpoint."""

    api_version: Literal["deepsynth.io/v1alpha1"] = "deepsynth.io/v1alpha1"
    kind: Literal["TrainingRun"] = "TrainingRun"
    metadata: ObjectMeta
    spec: Annotated[TrainingRunSpec, Field(description="What to train, on what, and how.")]
    status: Annotated[TrainingRunStatus, Field(description="Written by the operator.")] = TrainingRunStatus()
