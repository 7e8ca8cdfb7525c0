"""What a TrainingRun saves and measures: checkpoints, evaluation, trackers and the final model."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.shared.base import SET, ApiModel, SecretReference, max_characters
from deepsynth_api.v1alpha1.shared.patterns import (
    FOLDER,
    HUB_MODEL,
    NO_CREDENTIALS,
    OBJECT_FORMS,
    OBJECTS,
    WEB_ADDRESS,
    Decimal,
    matching,
)

Metric = Literal["loss", "rouge", "cer", "wer", "exactMatch"]


class CheckpointSettings(ApiModel):
    """Where and how often the training state is saved."""

    uri: Annotated[
        str,
        matching(
            f"{OBJECTS}|{FOLDER}",
            f"must be {OBJECT_FORMS}, pvc://CLAIM/PATH or file:///PATH, {NO_CREDENTIALS}; the Hub cannot hold "
            "checkpoints",
            max_length=1024,
            description=(
                f"Where the checkpoints are: {OBJECT_FORMS}, pvc://CLAIM/PATH or file:///PATH. With numNodes above 1, "
                "a claim must be ReadWriteMany."
            ),
        ),
    ]
    every_steps: Annotated[int | None, Field(ge=1, description="Optimizer steps between two checkpoints.")] = None
    every_seconds: Annotated[
        int | None,
        Field(ge=1, description="Seconds between two checkpoints; default: 600 if everySteps is not set."),
    ] = None
    keep_last: Annotated[int, Field(ge=1, le=1000, description="Number of the newest checkpoints to keep.")] = 3
    keep_best: Annotated[bool, Field(description="Also keep the best checkpoint, by evaluation.bestMetric.")] = True
    secret_ref: Annotated[
        SecretReference | None,
        Field(description="Secret with the keys of an object store, with access to read, write, list and delete."),
    ] = None


class EarlyStoppingSettings(ApiModel):
    """End the training when a metric has stopped improving. The final model is then that of the best checkpoint."""

    metric: Annotated[
        Metric | None, Field(description="Metric that must improve; default: bestMetric. It must also be in metrics.")
    ] = None
    patience: Annotated[
        int, Field(ge=1, description="Number of evaluations in a row without an improvement after which training ends.")
    ]
    min_delta: Annotated[
        Decimal, Field(description="Smallest change that counts as an improvement, a decimal string.")
    ] = "0"


class EvaluationSettings(ApiModel):
    """Evaluation on the validation split. The model reads the page images, as in training, never their text."""

    every_steps: Annotated[
        int | None,
        Field(
            ge=1,
            description="Optimizer steps between two evaluations; default: one evaluation at the end of each epoch.",
        ),
    ] = None
    holdout_percent: Annotated[
        int,
        Field(
            ge=0,
            le=50,
            description=(
                "Percentage of the documents, up to 2,000, of a dataset without a validation split that are not "
                "trained on but used for evaluation. Copies of a document stay together. Datasets with fewer than 10 "
                "documents, or an empty validationSplit, give none. 0 disables it."
            ),
        ),
    ] = 2
    max_samples: Annotated[
        int,
        Field(
            ge=1,
            description=(
                "Maximum number of validation samples, spread evenly over the datasets, by their validation sizes, and "
                "over their documents. They are the same in every evaluation."
            ),
        ),
    ] = 200
    max_new_tokens: Annotated[int, Field(ge=1, description="Maximum number of tokens generated per sample.")] = 256
    generation_batch_size: Annotated[
        int,
        Field(
            ge=1,
            description=(
                "Pages that a process reads at once to generate text. A document with more pages is read alone. "
                "Lower it if GPU memory is too small."
            ),
        ),
    ] = 8
    metrics: Annotated[
        list[Metric],
        Field(
            max_length=5,
            json_schema_extra=SET,
            description=(
                "Metrics to compute at each evaluation: loss, rouge (stemmed ROUGE-1 and ROUGE-L), cer and wer (edits "
                "per character and per word of all references), exactMatch (share of texts without an error). For all "
                "but loss the model writes the text of every sample, which takes longer. The loss is always computed, "
                "also with the pages of other documents (swapped), and so is the CER if it is a metric: both are far "
                "higher when the model reads its pages. After the last step the loss is also computed with black "
                "pages: what the model guesses without seeing any."
            ),
        ),
    ] = Field(default=["loss"])
    best_metric: Annotated[
        Metric | None,
        Field(
            description=(
                "Metric that decides which checkpoint is the best: the lowest loss, cer or wer, or the highest ROUGE-L "
                "or exactMatch; default: that of earlyStopping, else loss. It must also be in metrics."
            )
        ),
    ] = None
    early_stopping: Annotated[
        EarlyStoppingSettings | None,
        Field(
            description=(
                "End the training when a metric has stopped improving. The final model is then that of the best "
                "checkpoint, also if training runs to its end; without earlyStopping it is that of the last step."
            )
        ),
    ] = None
    samples: Annotated[
        int,
        Field(
            ge=0,
            le=64,
            description=(
                "Samples whose text is written at each evaluation and shown next to its reference: in the folder "
                "samples of spec.checkpoint.uri and on the trackers, the first three also in status.samples. 0 "
                "disables it."
            ),
        ),
    ] = 8


class PublishSettings(ApiModel):
    """Where the final model is published."""

    uri: Annotated[
        str,
        matching(
            f"{HUB_MODEL}|{OBJECTS}|{FOLDER}",
            f"must be hf://OWNER/NAME, {OBJECT_FORMS}, pvc://CLAIM/PATH or file:///PATH, {NO_CREDENTIALS}",
            max_length=1024,
            description=(
                f"Where to publish the final model: hf://OWNER/NAME, {OBJECT_FORMS}, pvc://CLAIM/PATH or file:///PATH. "
                "A folder must be new, empty, or hold a model that was published before."
            ),
        ),
    ]
    private: Annotated[bool, Field(description="Whether a new Hub repository is private.")] = True
    format: Annotated[
        Literal["adapter", "merged"],
        Field(description="With LoRA: publish the adapter alone, or the weights with the adapter merged into them."),
    ] = "merged"
    secret_ref: Annotated[
        SecretReference | None,
        Field(description="Secret with the key HF_TOKEN, or those of an object store, with write access."),
    ] = None


class TensorBoardTracking(ApiModel):
    uri: Annotated[
        str,
        matching(
            f"{OBJECTS}|{FOLDER}",
            f"must be {OBJECT_FORMS}, pvc://CLAIM/PATH or file:///PATH, {NO_CREDENTIALS}",
            max_length=1024,
            description=(
                f"Where the event files are: {OBJECT_FORMS}, pvc://CLAIM/PATH or file:///PATH. To an object store they "
                "are copied with each checkpoint and at the end."
            ),
        ),
    ]
    secret_ref: Annotated[
        SecretReference | None, Field(description="Secret with the keys of an object store, with write access.")
    ] = None


class WandbTracking(ApiModel):
    project: Annotated[
        str,
        Field(
            min_length=1, json_schema_extra=max_characters(256), description="Name of the project on Weights & Biases."
        ),
    ]
    secret_ref: Annotated[SecretReference | None, Field(description="Secret with the key WANDB_API_KEY.")] = None


class MlflowTracking(ApiModel):
    uri: Annotated[
        str,
        matching(
            f"{WEB_ADDRESS}|{FOLDER}",
            "must be http://HOST, https://HOST or file:///PATH",
            max_length=1024,
            description="Tracking server: http://HOST, https://HOST or file:///PATH.",
        ),
    ]
    secret_ref: Annotated[
        SecretReference | None,
        Field(
            description=(
                "Secret with the key MLFLOW_TRACKING_TOKEN, or with MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD."
            )
        ),
    ] = None


class Tracking(ApiModel):
    """An experiment tracker that rank 0 also sends losses and metrics to. Set exactly one field."""

    tensorboard: Annotated[TensorBoardTracking | None, Field(description="Write event files for TensorBoard.")] = None
    wandb: Annotated[WandbTracking | None, Field(description="Log to a project on Weights & Biases.")] = None
    mlflow: Annotated[MlflowTracking | None, Field(description="Log to an MLflow tracking server.")] = None
