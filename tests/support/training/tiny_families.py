"""Tiny models of the library's image-text-to-text families with random weights, each with its own processor.

Pages of about 100 px make few patches, so that a forward pass takes milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CHAT = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% for part in message.content -%}
{%- if part.type == "image" -%}START{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}"""
"""How most of these models write a conversation. START: where an image goes."""
SPREAD = 0.1
"""Large enough that the page changes the loss of a random model."""


def build_tokenizer(**special: str) -> Any:
    """Byte tokens without BOS. special: tokens by the tokenizer's attribute for them."""
    from transformers import PreTrainedTokenizerFast

    from deepsynth_train.models.random.tiny import EOS, PAD, build_byte_tokenizer

    backend = build_byte_tokenizer().backend_tokenizer
    backend.post_processor = None
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # the library's constructor
        tokenizer_object=backend,
        eos_token=EOS,
        pad_token=PAD,
        extra_special_tokens={"start_token": "<|im_start|>", "end_token": "<|im_end|>", **special},
    )


def build_text(tokenizer: Any, **changes: Any) -> dict[str, Any]:
    """Configuration of a language model with two layers."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 4096,
        "initializer_range": SPREAD,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **changes,
    }


def build_qwen2_5_vl() -> tuple[Any, Any]:
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = _build_qwen_tokenizer()
    config = Qwen2_5_VLConfig(
        text_config=build_text(
            tokenizer, rope_parameters={"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
        ),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
            "window_size": 56,
            "initializer_range": SPREAD,
        },
        **_find_qwen_ids(tokenizer),
    )
    images = _build_qwen_images(patch_size=14)
    processor = Qwen2_5_VLProcessor(  # type: ignore[no-untyped-call]  # the library's constructor
        images, tokenizer, Qwen2VLVideoProcessor(), chat_template=CHAT.replace("START", _QWEN_START)
    )
    return Qwen2_5_VLForConditionalGeneration(config), processor


def build_qwen3_vl() -> tuple[Any, Any]:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor, Qwen3VLVideoProcessor

    tokenizer = _build_qwen_tokenizer()
    config = Qwen3VLConfig(
        text_config=build_text(
            tokenizer,
            head_dim=16,
            rope_parameters={
                "rope_type": "default",
                "mrope_section": [2, 3, 3],
                "mrope_interleaved": True,
                "rope_theta": 10000.0,
            },
        ),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": 32,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
            "initializer_range": SPREAD,
        },
        **_find_qwen_ids(tokenizer),
    )
    images = _build_qwen_images(patch_size=16)
    processor = Qwen3VLProcessor(  # type: ignore[no-untyped-call]  # the library's constructor
        images, tokenizer, Qwen3VLVideoProcessor(), chat_template=CHAT.replace("START", _QWEN_START)
    )
    return Qwen3VLForConditionalGeneration(config), processor


def build_smolvlm() -> tuple[Any, Any]:
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    tokenizer = build_tokenizer(**_IDEFICS_TOKENS)
    module = SmolVLMForConditionalGeneration(SmolVLMConfig(**_build_idefics(tokenizer)))
    images = _build_idefics_images("SmolVLMImageProcessor")
    return module, SmolVLMProcessor(
        images, tokenizer, SmolVLMVideoProcessor(), image_seq_len=4, chat_template=CHAT.replace("START", "<image>")
    )


def build_idefics3() -> tuple[Any, Any]:
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor

    tokenizer = build_tokenizer(**_IDEFICS_TOKENS)
    module = Idefics3ForConditionalGeneration(Idefics3Config(**_build_idefics(tokenizer)))
    images = _build_idefics_images("Idefics3ImageProcessor")
    return module, Idefics3Processor(
        image_processor=images, tokenizer=tokenizer, image_seq_len=4, chat_template=CHAT.replace("START", "<image>")
    )


def build_lighton_ocr() -> tuple[Any, Any]:
    from transformers import (
        LightOnOcrConfig,
        LightOnOcrForConditionalGeneration,
        LightOnOcrProcessor,
        PixtralImageProcessor,
    )

    tokenizer = build_tokenizer(image_token="<|image_pad|>", image_break_token="<|break|>", image_end_token="<|end|>")
    config = LightOnOcrConfig(
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        text_config={"model_type": "qwen3", **build_text(tokenizer, head_dim=16)},
        vision_config={
            "model_type": "pixtral",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 112,
            "patch_size": 14,
            "initializer_range": SPREAD,
        },
    )
    images = PixtralImageProcessor(size={"longest_edge": 112}, patch_size={"height": 28, "width": 28})
    return LightOnOcrForConditionalGeneration(config), LightOnOcrProcessor(
        image_processor=images, tokenizer=tokenizer, chat_template=CHAT.replace("START", "<|image_pad|>")
    )


def build_got_ocr2() -> tuple[Any, Any]:
    """Without a chat template, as published."""
    from transformers import GotOcr2Config, GotOcr2ForConditionalGeneration, GotOcr2ImageProcessor, GotOcr2Processor

    tokenizer = build_tokenizer(image_token="<imgpad>", image_start_token="<img>", image_stop_token="</img>")
    config = GotOcr2Config(
        image_token_index=tokenizer.convert_tokens_to_ids("<imgpad>"),
        text_config={"model_type": "qwen2", **build_text(tokenizer)},
        vision_config={
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "output_channels": 16,
            "image_size": 1024,
            "patch_size": 16,
            "window_size": 4,
            "global_attn_indexes": [],
            "mlp_dim": 32,
            "initializer_range": SPREAD,
        },
    )
    return GotOcr2ForConditionalGeneration(config), GotOcr2Processor(  # type: ignore[no-untyped-call]
        image_processor=GotOcr2ImageProcessor(size={"height": 1024, "width": 1024}), tokenizer=tokenizer
    )


def build_paddleocr_vl() -> tuple[Any, Any]:
    from transformers import (
        PaddleOCRVLConfig,
        PaddleOCRVLForConditionalGeneration,
        PaddleOCRVLImageProcessor,
        PaddleOCRVLProcessor,
    )

    tokenizer = build_tokenizer(
        image_token="<|IMAGE_PLACEHOLDER|>", image_begin="<|IMAGE_START|>", image_stop="<|IMAGE_END|>"
    )
    config = PaddleOCRVLConfig(
        text_config=build_text(
            tokenizer,
            head_dim=16,
            rope_parameters={"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0},
        ),
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 112,
            "patch_size": 14,
            "initializer_range": SPREAD,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<|IMAGE_PLACEHOLDER|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|IMAGE_START|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|IMAGE_END|>"),
        tie_word_embeddings=False,
    )
    images = PaddleOCRVLImageProcessor(size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112})
    start = "<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>"
    return PaddleOCRVLForConditionalGeneration(config), PaddleOCRVLProcessor(  # type: ignore[no-untyped-call]
        image_processor=images, tokenizer=tokenizer, chat_template=CHAT.replace("START", start)
    )


def build_internvl() -> tuple[Any, Any]:
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    tokenizer = build_tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    config = InternVLConfig(
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        text_config={"model_type": "qwen2", **build_text(tokenizer)},
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": [56, 56],
            "patch_size": [14, 14],
            "initializer_range": SPREAD,
        },
    )
    images = GotOcr2ImageProcessor(size={"height": 56, "width": 56}, crop_to_patches=True, min_patches=1, max_patches=4)
    processor = InternVLProcessor(
        images,
        tokenizer,
        InternVLVideoProcessor(),
        image_seq_length=4,
        chat_template=CHAT.replace("START", "<IMG_CONTEXT>\n"),
    )
    return InternVLForConditionalGeneration(config), processor


FAMILIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "qwen2_5_vl": build_qwen2_5_vl,
    "qwen3_vl": build_qwen3_vl,
    "smolvlm": build_smolvlm,
    "idefics3": build_idefics3,
    "lighton_ocr": build_lighton_ocr,
    "got_ocr2": build_got_ocr2,
    "paddleocr_vl": build_paddleocr_vl,
    "internvl": build_internvl,
}

_QWEN_START = "<|vision_start|><|image_pad|><|vision_end|>"
_IDEFICS_TOKENS = {
    "image_token": "<image>",
    "fake_image_token": "<fake_token_around_image>",
    "global_image_token": "<global-img>",
    "end_of_utterance_token": "<end_of_utterance>",
    "video_token": "<video>",
    **{f"row_{row}_{column}": f"<row_{row}_col_{column}>" for row in range(1, 4) for column in range(1, 4)},
}


def _build_idefics_images(name: str) -> Any:
    """With the backend that `from_pretrained` chooses: torchvision before 0.27 cannot scale with LANCZOS."""
    import transformers
    from transformers.models.auto.image_processing_auto import DEFAULT_TO_PIL_BACKEND_IMAGE_PROCESSORS

    images = getattr(transformers, f"{name}Pil" if name in DEFAULT_TO_PIL_BACKEND_IMAGE_PROCESSORS else name)
    return images(size={"longest_edge": 128}, max_image_size={"longest_edge": 64})


def _build_idefics(tokenizer: Any) -> dict[str, Any]:
    """Images of 64 px: 16 patches, 4 positions after the connector."""
    return {
        "image_token_id": tokenizer.convert_tokens_to_ids("<image>"),
        "scale_factor": 2,
        "text_config": {"model_type": "llama", **build_text(tokenizer)},
        "vision_config": {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 16,
            "initializer_range": SPREAD,
        },
        "pad_token_id": tokenizer.pad_token_id,
    }


def _build_qwen_tokenizer() -> Any:
    return build_tokenizer(
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        vision_start_token="<|vision_start|>",
        vision_end_token="<|vision_end|>",
    )


def _find_qwen_ids(tokenizer: Any) -> dict[str, Any]:
    return {
        "image_token_id": tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        "video_token_id": tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        "vision_start_token_id": tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        "vision_end_token_id": tokenizer.convert_tokens_to_ids("<|vision_end|>"),
    }


def _build_qwen_images(patch_size: int) -> Any:
    from transformers import Qwen2VLImageProcessor

    return Qwen2VLImageProcessor(size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112}, patch_size=patch_size)
