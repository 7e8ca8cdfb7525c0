"""The model that a TrainingRun starts from, and how pages are prepared for it."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.shared.base import SET, ApiModel, SecretReference, max_characters
from deepsynth_api.v1alpha1.shared.patterns import (
    FOLDER,
    HUB_MODEL,
    NO_CREDENTIALS,
    OBJECT_FORMS,
    OBJECTS,
    RANDOM_MODEL,
    Fraction,
    Revision,
    matching,
)

MODEL_REMEDY = (
    f"must be hf://OWNER/NAME, {OBJECT_FORMS}, pvc://CLAIM/PATH, file:///PATH, config://deepseek-ocr2-tiny, "
    f"config://vit-gpt2-tiny, config://page-reader-small or config://deepseek-ocr2, {NO_CREDENTIALS}"
)


class LoraSettings(ApiModel):
    """Low-rank adapters (LoRA, arXiv 2106.09685) instead of full fine-tuning."""

    rank: Annotated[
        int,
        Field(ge=1, le=1024, description="Rank of the adapters. A higher rank can learn more and needs more memory."),
    ] = 16
    alpha: Annotated[int, Field(ge=1, le=4096, description="Scaling factor of the adapters, often twice the rank.")] = (
        32
    )
    dropout: Annotated[
        Fraction, Field(description="Dropout probability before the adapters, a decimal string from 0 to 1.")
    ] = "0.05"
    target_modules: Annotated[
        list[Annotated[str, Field(json_schema_extra=max_characters(256))]],
        Field(
            max_length=64,
            json_schema_extra=SET,
            description=(
                "Layers that get adapters, by name, such as q_proj, or by pattern: * stands for any characters, and "
                "a pattern that starts with vision or language matches within that part of the model. Examples: "
                "language.*, *.mlp.*, *.shared_experts.*. The name experts, or a pattern that matches it, such as "
                "*.experts, gives adapters to the routed experts of a mixture, without dropout. Layers in "
                "parts that freeze names get none. The default names the attention layers of the supported models; "
                "a note of the run says which parts got adapters."
            ),
        ),
    ] = Field(
        default=[
            *("q_proj", "k_proj", "v_proj", "o_proj", "out_proj"),
            *("c_attn", "q_attn", "attn.c_proj", "crossattention.c_proj"),  # of GPT-2
        ]
    )
    use_rslora: Annotated[
        bool,
        Field(
            description=(
                "Scale adapters by alpha / sqrt(rank) instead of alpha / rank (rsLoRA, arXiv 2312.03732), so that "
                "high ranks learn too."
            )
        ),
    ] = False
    use_dora: Annotated[
        bool,
        Field(
            description=(
                "Also train the magnitude of each adapted weight (DoRA, arXiv 2402.09353). Often better at low ranks, "
                "and slower. Not for routed experts."
            )
        ),
    ] = False


class ModelSettings(ApiModel):
    """The model to start from."""

    uri: Annotated[
        str,
        matching(
            f"{HUB_MODEL}|{OBJECTS}|{FOLDER}|{RANDOM_MODEL}",
            MODEL_REMEDY,
            max_length=1024,
            description=(
                f"Where the model is: hf://OWNER/NAME, {OBJECT_FORMS}, pvc://CLAIM/PATH, file:///PATH, or "
                "config://NAME for a "
                "model with random weights: deepseek-ocr2-tiny, vit-gpt2-tiny and page-reader-small are small, "
                "deepseek-ocr2 has the published size."
            ),
        ),
    ]
    revision: Annotated[Revision | None, Field(description="Branch, tag or commit of a model on the Hub.")] = None
    secret_ref: Annotated[
        SecretReference | None,
        Field(description="Secret with the key HF_TOKEN, or those of an object store, for a private model."),
    ] = None
    freeze: Annotated[
        list[Literal["vision", "language"]],
        Field(
            max_length=2,
            json_schema_extra=SET,
            description="Parts of the model that are not trained: vision, language.",
        ),
    ] = Field(default_factory=list)
    lora: Annotated[
        LoraSettings | None, Field(description="Train only low-rank adapters (LoRA); default: train all weights.")
    ] = None
    quantize: Annotated[
        Literal["nf4"] | None,
        Field(
            description=(
                "Keep the frozen weights of the language part in 4 bits while adapters are trained (QLoRA, arXiv "
                "2305.14314): linear layers and routed experts, but not embeddings, norms, the output layer and the "
                "vision part. Needs lora and bitsandbytes; not with sharding full or compile. Merged models are made "
                "from the original weights, and adapters fit the original model too; default: as they are stored."
            )
        ),
    ] = None


class ImageProcessorSettings(ApiModel):
    """How pages are prepared for the model."""

    size: Annotated[
        int | None,
        Field(
            ge=64,
            le=2048,
            description=(
                "Side of the view of the whole page in pixels; default: the model's own size. Only for DeepSeek-OCR; "
                "other models scale pages by their own image processor."
            ),
        ),
    ] = None
    max_tiles: Annotated[
        int,
        Field(
            ge=0,
            le=32,
            description=(
                "Maximum number of local tiles of a large page, in addition to the view of the whole page; 0 for none. "
                "DeepSeek-OCR-2 was trained with 6. Other models cut pages by their own image processor."
            ),
        ),
    ] = 0
