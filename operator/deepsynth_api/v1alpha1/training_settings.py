"""How to train: the part of a TrainingRun's spec that the containers need as it is."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.base import SET, ApiModel, SecretReference
from deepsynth_api.v1alpha1.patterns import (
    FOLDER,
    HUB_MODEL,
    SMALL_MODEL,
    WEB_ADDRESS,
    Decimal,
    Fraction,
    Revision,
    SplitName,
    matching,
)

Metric = Literal["loss", "rouge"]
MODEL_REMEDY = (
    "write hf://OWNER/NAME, pvc://CLAIM/PATH, file:///PATH, config://deepseek-ocr2-tiny or config://vit-gpt2-tiny"
)


class LoraSettings(ApiModel):
    """Low-rank adapters (arXiv 2106.09685) instead of full fine-tuning."""

    rank: Annotated[
        int, Field(ge=1, le=1024, description="Rank of the adapters: more can learn more and cost more memory.")
    ] = 16
    alpha: Annotated[int, Field(ge=1, le=4096, description="Scale of the adapters; often twice the rank.")] = 32
    dropout: Annotated[Fraction, Field(description="Dropout before the adapters.")] = "0.05"
    target_modules: Annotated[
        list[str],
        Field(
            max_length=64,
            json_schema_extra=SET,
            description="Names of the linear layers that get adapters.",
        ),
    ] = Field(default=["q_proj", "k_proj", "v_proj", "o_proj"])


class ModelSettings(ApiModel):
    """The model to start from."""

    uri: Annotated[
        str,
        matching(
            f"{HUB_MODEL}|{FOLDER}|{SMALL_MODEL}",
            MODEL_REMEDY,
            max_length=1024,
            description=(
                "hf://OWNER/NAME, pvc://CLAIM/PATH, file:///PATH, or config://NAME for a small random "
                "model: deepseek-ocr2-tiny, vit-gpt2-tiny."
            ),
        ),
    ]
    revision: Annotated[Revision | None, Field(description="Branch, tag or commit on the Hub.")] = None
    secret_ref: Annotated[SecretReference | None, Field(description="Secret with HF_TOKEN for a private model.")] = None
    freeze: Annotated[
        list[Literal["vision", "language"]],
        Field(max_length=2, json_schema_extra=SET, description="Parts whose weights stay as they are."),
    ] = Field(default_factory=list)
    lora: Annotated[
        LoraSettings | None, Field(description="Train low-rank adapters only; default: the whole model.")
    ] = None


class ImageProcessorSettings(ApiModel):
    """How pages reach the model."""

    size: Annotated[
        int | None,
        Field(ge=64, le=2048, description="Side of the global view, pixels; default: the model's own."),
    ] = None
    max_tiles: Annotated[
        int, Field(ge=0, le=32, description="Most local tiles beside the global view; only 0 is supported yet.")
    ] = 0


class OptimizerSettings(ApiModel):
    """AdamW (arXiv 1711.05101). Norms and biases are not decayed."""

    learning_rate: Annotated[
        Decimal, Field(description="Peak learning rate, a decimal string above 0 and at most 1.")
    ] = "0.0002"
    weight_decay: Annotated[Decimal, Field(description="Decoupled weight decay, a decimal string from 0 to 1.")] = (
        "0.01"
    )
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
        matching(
            FOLDER,
            "write pvc://CLAIM/PATH or file:///PATH, without '..'; checkpoints cannot be saved to the Hub",
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
        list[Metric],
        Field(max_length=2, json_schema_extra=SET, description="loss; rouge generates from the pages as well."),
    ] = Field(default=["loss"])


class PublishSettings(ApiModel):
    """Where the final model goes."""

    uri: Annotated[
        str,
        matching(
            f"{HUB_MODEL}|{FOLDER}",
            "write hf://OWNER/NAME, pvc://CLAIM/PATH or file:///PATH, without '..'",
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
    uri: Annotated[
        str,
        matching(
            FOLDER,
            "write pvc://CLAIM/PATH or file:///PATH, without '..'",
            max_length=1024,
            description="Folder for the event files: pvc://CLAIM/PATH or file:///PATH.",
        ),
    ]


class WandbTracking(ApiModel):
    project: Annotated[str, Field(min_length=1, description="Project on Weights & Biases.")]
    secret_ref: Annotated[SecretReference | None, Field(description="Secret with WANDB_API_KEY.")] = None


class MlflowTracking(ApiModel):
    uri: Annotated[
        str,
        matching(
            f"{WEB_ADDRESS}|{FOLDER}",
            "write http://HOST, https://HOST or file:///PATH",
            max_length=1024,
            description="Tracking server: http://HOST, https://HOST or file:///PATH.",
        ),
    ]
    secret_ref: Annotated[
        SecretReference | None, Field(description="Secret with MLFLOW_TRACKING_TOKEN or user and password.")
    ] = None


class Tracking(ApiModel):
    """A place that losses and metrics are also written to, by rank 0. Set exactly one."""

    tensorboard: Annotated[TensorBoardTracking | None, Field(description="Write event files for TensorBoard.")] = None
    wandb: Annotated[WandbTracking | None, Field(description="Write to a project on Weights & Biases.")] = None
    mlflow: Annotated[MlflowTracking | None, Field(description="Write to an MLflow tracking server.")] = None


class TrainingSettings(ApiModel):
    """How to train: the part of the spec that the containers need as it is."""

    model: Annotated[ModelSettings, Field(description="The model to start from, and which parts of it to train.")]
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
    compile: Annotated[
        bool, Field(description="Compile the model with torch.compile: slower to start, faster steps.")
    ] = False
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="Seed of data order, dropout and random models.")] = 0
    optimizer: Annotated[OptimizerSettings, Field(description="Settings of AdamW and of its schedule.")] = (
        OptimizerSettings()
    )
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
        int, Field(ge=10, description="Seconds without a heartbeat in a step after which the attempt ends as Hung.")
    ] = 600


class DatasetSplits(ApiModel):
    """Which parts of a dataset to use, and how often."""

    name: Annotated[
        str,
        matching(
            "[a-z0-9]([-a-z0-9_]*[a-z0-9])?",
            "write lower case letters, digits, '-' and '_', with a letter or digit at both ends",
            max_length=63,
            description="Name of the dataset in this run.",
        ),
    ]
    train_split: Annotated[SplitName, Field(description="Name of the split to train on.")] = "train"
    validation_split: Annotated[
        str | None,
        Field(description='Split to measure on; default: validation, where the dataset has it; "": none.'),
    ] = None
    weight: Annotated[
        Decimal, Field(description="How often each sample is seen per epoch; 1: once, 0.5: half of them.")
    ] = "1"
