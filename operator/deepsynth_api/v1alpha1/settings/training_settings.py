"""How to train: the part of a TrainingRun's spec that the containers get unchanged."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.settings.model_settings import ImageProcessorSettings, ModelSettings
from deepsynth_api.v1alpha1.settings.result_settings import (
    CheckpointSettings,
    EvaluationSettings,
    PublishSettings,
    Tracking,
)
from deepsynth_api.v1alpha1.shared.base import ApiModel, SizeOrAuto, max_characters
from deepsynth_api.v1alpha1.shared.patterns import Decimal, Fraction, SplitName, matching


class OptimizerSettings(ApiModel):
    """AdamW (arXiv 1711.05101). Weight decay does not apply to norms and biases."""

    type: Annotated[
        Literal["adamw", "adamw8bit", "pagedAdamw8bit"],
        Field(
            description=(
                "adamw: both moments in fp32, 8 bytes for each trained weight. adamw8bit: moments of 8 bits, quantised "
                "in blocks of 256 (arXiv 2110.02861), 2 bytes for each trained weight. pagedAdamw8bit: the same in "
                "memory that an NVIDIA GPU moves to the host while it needs the room. The last two need bitsandbytes "
                "and sharding none; tensors of less than 4,096 weights keep fp32 moments."
            )
        ),
    ] = "adamw"
    learning_rate: Annotated[
        Decimal, Field(description="Peak learning rate: a decimal string above 0 and at most 1.")
    ] = "0.0002"
    weight_decay: Annotated[Decimal, Field(description="Decoupled weight decay: a decimal string from 0 to 1.")] = (
        "0.01"
    )
    betas: Annotated[
        list[Fraction],
        Field(
            min_length=2,
            max_length=2,
            description="Decay rates of the first and the second moment: two decimal strings below 1.",
        ),
    ] = Field(default=["0.9", "0.999"])
    max_grad_norm: Annotated[
        Decimal, Field(description="Clip the global gradient norm to this value; 0 disables clipping.")
    ] = "1.0"
    schedule: Annotated[
        Literal["cosine", "linear", "constant"], Field(description="How the learning rate changes after the warm-up.")
    ] = "cosine"
    warmup_steps: Annotated[
        int | None, Field(ge=0, description="Optimizer steps of linear warm-up; not together with warmupRatio.")
    ] = None
    warmup_ratio: Annotated[
        Fraction | None,
        Field(
            description=(
                "Linear warm-up as a share of all steps, a decimal string from 0 to 1; not together with warmupSteps."
            )
        ),
    ] = None


class TrainingSettings(ApiModel):
    """How to train: the part of the spec that the containers get unchanged."""

    model: Annotated[ModelSettings, Field(description="The model to start from, and which parts of it to train.")]
    task: Annotated[
        Literal["summarize", "ocr"],
        Field(
            description=(
                "summarize: read all pages of a document and write its summary. ocr: read one page and write its text."
            )
        ),
    ] = "summarize"
    prompt: Annotated[
        str | None,
        Field(
            max_length=4096,
            description=(
                "Text after the images in the model's input; default: the prompt of the task. The name of a special "
                "token in it, or in a label, is text like any other."
            ),
        ),
    ] = None
    max_label_tokens: Annotated[
        int | None,
        Field(
            ge=1,
            description=(
                "Maximum length of a label in tokens. Samples with longer labels are dropped and counted in "
                "status.progress.dropped."
            ),
        ),
    ] = None
    max_sequence_tokens: Annotated[
        int | None,
        Field(
            ge=1,
            description=(
                "Maximum length of a sample in tokens, images included; default: the model's context length. "
                "Longer samples are dropped and counted in status.progress.dropped."
            ),
        ),
    ] = None
    max_dropped_percent: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description=(
                "Percentage of samples that may be dropped because they do not fit the model. If more are "
                "dropped, the run fails."
            ),
        ),
    ] = 1
    max_similarity_percent: Annotated[
        int | None,
        Field(
            ge=50,
            le=99,
            description=(
                "Do not train on documents whose texts have more than this percentage of their groups of five words in "
                "common with a document that is evaluated on, of any dataset, or with one of an earlier dataset of the "
                "list. They are counted in status.progress.dropped, apart from maxDroppedPercent. An estimate, which "
                "takes about 2 KB of memory per document on each node while the data is prepared. Default: nothing is "
                "compared."
            ),
        ),
    ] = None
    image_processor: Annotated[ImageProcessorSettings, Field(description="How pages are prepared for the model.")] = (
        ImageProcessorSettings.defaults()
    )
    precision: Annotated[
        Literal["bf16", "fp16", "fp32"],
        Field(description="Numeric precision of the forward and backward passes. Master weights are always fp32."),
    ] = "bf16"
    sharding: Annotated[
        Literal["none", "full"],
        Field(
            description=(
                "none: every GPU holds the whole model (DDP). full: weights, gradients and optimizer state are "
                "split over the GPUs (FSDP2), for models that do not fit on one GPU."
            )
        ),
    ] = "none"
    gradient_checkpointing: Annotated[
        bool, Field(description="Recompute activations in the backward pass: less memory, slower steps.")
    ] = False
    compile: Annotated[bool, Field(description="Compile the model with torch.compile: slower start, faster steps.")] = (
        False
    )
    seed: Annotated[
        int,
        Field(ge=0, le=2**31 - 1, description="Random seed for data order, dropout and models with random weights."),
    ] = 0
    optimizer: Annotated[
        OptimizerSettings, Field(description="Settings of the AdamW optimizer and of its learning rate schedule.")
    ] = OptimizerSettings.defaults()
    global_batch_size: Annotated[
        int,
        Field(
            ge=1,
            description="Samples per optimizer step, over all processes. It does not depend on the number of GPUs.",
        ),
    ] = 32
    micro_batch_size: Annotated[
        SizeOrAuto,
        Field(
            description=(
                "Samples per forward pass of one process. Lower it if GPU memory is too small. auto: the largest power "
                "of two that fits by an estimate for the largest samples, chosen at the start and kept by later "
                "attempts."
            )
        ),
    ] = 1
    epochs: Annotated[
        int | None, Field(ge=1, description="Number of passes over the data; default: 1. Not together with maxSteps.")
    ] = None
    max_steps: Annotated[
        int | None,
        Field(
            ge=1,
            description=(
                "Number of optimizer steps to train. Not together with epochs. A run that is Complete continues when "
                "this is raised: a learning rate that falls until the end is then computed for the new length."
            ),
        ),
    ] = None
    on_non_finite: Annotated[
        Literal["fail", "skip"],
        Field(
            description=(
                "What to do when the loss is NaN or infinite: fail if retrying the step gives the same, or skip "
                "the batch and count it."
            )
        ),
    ] = "fail"
    checkpoint: Annotated[CheckpointSettings, Field(description="Where and how often the training state is saved.")]
    evaluation: Annotated[
        EvaluationSettings, Field(description="Evaluation on the validation split: how often, and which metrics.")
    ] = EvaluationSettings.defaults()
    tracking: Annotated[
        list[Tracking], Field(max_length=4, description="Experiment trackers that losses and metrics are also sent to.")
    ] = Field(default_factory=list)
    publish: Annotated[
        PublishSettings | None,
        Field(description="Where to publish the final model, in addition to the checkpoint folder."),
    ] = None
    hang_timeout_seconds: Annotated[
        int,
        Field(
            ge=10,
            description="Seconds without progress in a step after which the attempt ends as Hung and is repeated.",
        ),
    ] = 600


class DatasetSplits(ApiModel):
    """Which splits of a dataset to use, and how often."""

    name: Annotated[
        str,
        matching(
            "[a-z0-9]([-a-z0-9_]*[a-z0-9])?",
            "must consist of lower case letters, digits, '-' and '_', and start and end with a letter or digit",
            max_length=63,
            description="Name of the dataset within this run.",
        ),
    ]
    train_split: Annotated[SplitName, Field(description="Name of the split to train on.")] = "train"
    validation_split: Annotated[
        str | None,
        Field(
            json_schema_extra=max_characters(128),
            description=(
                "Name of the split to evaluate on; default: validation, if the dataset has it, else the part of the "
                "train split that evaluation.holdoutPercent holds out. With an empty string the dataset is not "
                "evaluated on."
            ),
        ),
    ] = None
    weight: Annotated[
        Decimal,
        Field(
            description=(
                "How often each sample is trained on per epoch: 1 for once, 2 for twice, 0.5 for half of the samples. "
                "Evaluation does not use it: each validation sample is measured once."
            )
        ),
    ] = "1"
