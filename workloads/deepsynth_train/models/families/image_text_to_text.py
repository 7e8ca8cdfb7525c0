"""Any of the library's image-text-to-text models that are decoder-only: Qwen-VL, InternVL, SmolVLM, LightOnOCR ...

The model's own processor makes a prompt of the pages and its chat template; the label follows, and the token that ends
a turn of the template. Everything is asked of the processor and the model, nothing is known of any of them:

    positions of a page     the processor's count for its size, or the prompt of a blank page
    names of the parts      the library's conventions
    parameters without use  the graph of one forward pass
"""

import copy
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.models.families.graph import find_modules, find_unused
from deepsynth_train.models.families.page_features import OutputCut
from deepsynth_train.models.families.pixel_scale import RAW, find_scale
from deepsynth_train.models.families.sequences import collate_left, collate_sequences
from deepsynth_train.models.families.square_pages import A4, fit_inputs
from deepsynth_train.models.files.model_folder import INSTEAD
from deepsynth_train.models.interface.page_model import Batch, Inputs, PageModel, Prompt, Sample, VisionCut
from deepsynth_train.models.interface.prompts import get_prompt, render_chat, set_chat_template
from deepsynth_train.models.interface.text import encode_text, find_special_ids

_VISION: Final = ("visual", "vision_tower", "vision_model", "vision_encoder", "image_encoder")
_LANGUAGE: Final = ("language_model", "text_model", "lm_head")
_PROBES: Final = ((97, 64), (64, 140), (400, 300), A4)
"""Page sizes at which the processor's count of positions must equal those of its prompt."""
_TOLERANCE: Final = 1e-2
"""Of the largest logit: rounding, with weights in bf16."""


class ImageTextFamily:
    """One sequence per document. With a chat template of the usual kind, 2 pages and a label of 3 tokens:

    input_ids   user  image...  image...  "Free OCR."  <end>  assistant  l1  l2  l3
    rows                                                      |          |   |   |       predict a label token
    targets                                                   l1         l2  l3  <end>
    """

    reads_sizes = True

    def __init__(self, module: Any, processor: Any, prompt: str) -> None:
        tokenizer = processor.tokenizer
        self._processor = copy.copy(processor)
        # Its own tokenizer: other threads change the settings of the model's one while they encode labels.
        self._processor.tokenizer = copy.deepcopy(tokenizer)
        self._special = find_special_ids(tokenizer, module.config)
        self._prompt = prompt
        self._is_plain = self._special.isdisjoint(self._tokenise(prompt))
        self._prompt_ids = encode_text(tokenizer, self._special, prompt)
        self._scale = find_scale(processor.image_processor)
        self._render = lru_cache(maxsize=256)(lambda pages: render_chat(self._processor, pages))
        self._count = lru_cache(maxsize=65536)(self._count_positions)
        self.context_tokens = int(module.config.get_text_config().max_position_embeddings)
        self.vision = find_modules(module, _VISION)
        self.language = find_modules(module, _LANGUAGE)
        self.unused: Sequence[str] = ()
        self.end = self._find_end()
        self._pad = self.end if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
        self._counts_by_size = self._has_right_counts()
        self.fixed_tokens, self._around, self.max_pages = self._measure_text()
        self.image_tokens = int(self.count_page_tokens(np.array([A4]))[0])

    def count_page_tokens(self, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        unique, inverse = np.unique(sizes, axis=0, return_inverse=True)
        counts = [self._count(int(width), int(height)) + self._around for width, height in unique]
        return np.array(counts, dtype=np.int64)[inverse.reshape(-1)]

    def build_prompt(self, pages: Sequence[Image.Image]) -> Prompt:
        chat = self._render(len(pages))
        text = f"{chat.before}{self._prompt}{chat.after}" if self._is_plain else chat.before
        made = self._processor(
            text=[text],
            images=[page.convert("RGB") for page in pages],
            add_special_tokens=not text.startswith(self._processor.tokenizer.bos_token or "\0"),
            return_tensors="pt",
            **(RAW if self._scale else {}),
        )
        ids: list[int] = made.pop("input_ids")[0].tolist()
        made.pop("attention_mask", None)
        marks = {name: values[0].tolist() for name, values in made.items() if _is_mark(values, len(ids))}
        tensors = {name: torch.as_tensor(values) for name, values in made.items() if name not in marks}
        if self._scale:
            tensors["pixel_values"] = tensors["pixel_values"].to(torch.uint8)
        if not self._is_plain:
            rest = [*self._prompt_ids, *self._tokenise(chat.after)]
            ids += rest
            marks = {name: [*values, *[0] * len(rest)] for name, values in marks.items()}
        return Prompt(len(pages), ids, tensors, marks)

    def collate(self, samples: Sequence[Sample]) -> Batch:
        return collate_sequences(samples, pad=self._pad, end=self.end)

    def collate_prompts(self, samples: Sequence[Sample]) -> Inputs:
        return collate_left(samples, pad=self._pad)

    def prepare(self, inputs: Inputs) -> dict[str, Any]:
        if self._scale is None or inputs["pixel_values"].dtype != torch.uint8:
            return inputs
        return {**inputs, "pixel_values": self._scale.apply(inputs["pixel_values"])}

    def cut_vision(self, module: Any) -> VisionCut | None:
        inner = getattr(module, "model", module)
        return OutputCut(inner, self.language) if hasattr(inner, "get_image_features") else None

    def check(self, module: Any) -> None:
        """Also finds the parameters without use, and refuses a model whose label tokens see those that follow."""
        if next(module.parameters()).is_meta:
            return  # weights without values, to estimate memory
        first, *others = [n for n in range(len(self._special) + 3) if n not in self._special][:3]
        prompt = self.build_prompt([Image.new("RGB", _PROBES[0], "white")])
        batch = self.collate([Sample(prompt, [first, last]) for last in others])
        logits = self._run(module, batch)  # (B * T, vocab)
        self.unused = find_unused(module, logits, self.language)
        before, after = logits.detach()[batch.rows.to(logits.device)].float().chunk(2)  # (3, vocab) each
        if (before[:2] - after[:2]).abs().max() > _TOLERANCE * before.abs().max():
            raise ConfigurationError(
                f"spec.model.uri: models of type {module.config.model_type} see the tokens that they must predict; "
                f"{INSTEAD}"
            )

    def _run(self, module: Any, batch: Batch) -> torch.Tensor:
        inputs = fit_inputs(self.prepare(batch.inputs), module)
        try:
            logits: torch.Tensor = module(**inputs, use_cache=False).logits
        except (ValueError, RuntimeError, TypeError, IndexError) as error:
            raise ConfigurationError(
                f"spec.model.uri: the model does not take what its processor makes of a page ({first_line(error)}); "
                f"check the files of the processor, or {INSTEAD}"
            ) from error
        return logits.flatten(0, 1)

    def _tokenise(self, text: str) -> list[int]:
        return list(self._processor.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _find_end(self) -> int:
        """The token after a label: the one that ends a turn of the chat template, else EOS."""
        eos = self._processor.tokenizer.eos_token_id
        found = next((n for n in self._tokenise(self._render(1).end) if n in self._special), eos)
        if found is None:
            raise ConfigurationError("spec.model.uri: the tokenizer has no eos_token; add one to its files")
        return int(found)

    def _count_positions(self, width: int, height: int) -> int:
        """A number that differs between two pages as the lengths of their prompts do."""
        if self._counts_by_size:
            counted = self._processor._get_num_multimodal_tokens(image_sizes=[(height, width)])  # noqa: SLF001 - for this purpose
            return int(counted["num_image_tokens"][0])
        return len(self.build_prompt([Image.new("RGB", (width, height))]).ids)

    def _has_right_counts(self) -> bool:
        """Whether the processor counts positions from the size of a page, and right."""
        if not hasattr(self._processor, "_get_num_multimodal_tokens"):
            return False
        self._counts_by_size = True
        lengths = [len(self.build_prompt([Image.new("RGB", size)]).ids) for size in _PROBES]
        try:
            counts = [self._count_positions(*size) for size in _PROBES]
        except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError):  # how processors say they cannot
            return False
        return len({length - count for length, count in zip(lengths, counts, strict=True)}) == 1

    def _measure_text(self) -> tuple[int, int, int | None]:
        """Tokens apart from the pages, with the end; tokens around a page; most pages of a prompt."""
        page = Image.new("RGB", _PROBES[0])
        counted = self._count(*page.size)
        one = len(self.build_prompt([page]).ids) - counted
        try:
            two = len(self.build_prompt([page, page]).ids) - 2 * counted
        except (ConfigurationError, ValueError, TypeError, IndexError):
            return one + 1, 0, 1
        around = two - one
        return one - around + 1, around, None


def build_image_text_to_text(module: Any, processor: Any, settings: TrainingSettings) -> PageModel:
    """Wrap a loaded model and its processor. Raises ConfigurationError for a model or settings that do not fit."""
    _check_settings(settings)
    _check_model(module, processor)
    prompt = get_prompt(settings)
    set_chat_template(processor, module.config.model_type, prompt)
    family = ImageTextFamily(module, processor, prompt)
    for part, names in {"vision": family.vision, "language": family.language}.items():
        if part in settings.model.freeze and not names:
            raise ConfigurationError(f"spec.model.freeze: this model has no part that is known as {part}; remove it")
    _stop_at(module.generation_config, family.end)
    return PageModel(module, processor, family, module.dtype)


def _check_settings(settings: TrainingSettings) -> None:
    if settings.image_processor.size is not None:
        raise ConfigurationError(
            "spec.imageProcessor.size: pages of this model are scaled by its own processor; remove the field, or "
            "change preprocessor_config.json in the model's folder"
        )
    if settings.image_processor.max_tiles:
        raise ConfigurationError(
            "spec.imageProcessor.maxTiles: pages of this model are cut by its own processor; remove the field, or "
            "change preprocessor_config.json in the model's folder"
        )


def _check_model(module: Any, processor: Any) -> None:
    kind = module.config.model_type
    if getattr(processor, "image_processor", None) is None or getattr(processor, "tokenizer", None) is None:
        raise ConfigurationError(f"spec.model.uri: models of type {kind} take no images; {INSTEAD}")
    if module.config.is_encoder_decoder or module.get_output_embeddings() is None:
        raise ConfigurationError(
            f"spec.model.uri: models of type {kind} are not supported: only decoders and vision-encoder-decoder are; "
            f"{INSTEAD}"
        )


def _stop_at(generation: Any, end: int) -> None:
    """Make `generate` stop at the token that ends a label."""
    present = generation.eos_token_id
    known = [] if present is None else [present] if isinstance(present, int) else list(present)
    if end not in known:
        generation.eos_token_id = [*known, end] if known else end


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _is_mark(values: Any, length: int) -> bool:
    return isinstance(values, torch.Tensor) and values.shape == (1, length) and not values.is_floating_point()
