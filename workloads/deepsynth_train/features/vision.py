"""The frozen vision part of a model, with what it makes of pages on disk.

    threads    page bytes ── sha256 ──▶ key ──▶ in the store? ── yes ──▶ Prompt with features: nothing is decoded
                                                     └───────── no ───▶ Prompt with pixels, and the key
    device     Prompts of a batch ──▶ features; where there are pixels: the vision part, then the store

Each prompt is encoded by itself. So its features depend neither on the other prompts of its batch nor on whether they
were in the store, and a resumed run computes the same bits as an uninterrupted one.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final, Literal

import torch
import transformers
from PIL import Image

from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.checkpoint.base import compute_checksum
from deepsynth_train.checkpoint.state.parts import locate
from deepsynth_train.features.store import FeatureStore
from deepsynth_train.models.families.sequences import join_tensors
from deepsynth_train.models.families.square_pages import A4
from deepsynth_train.models.interface.page_model import (
    HOST_INPUTS,
    Family,
    Inputs,
    PageModel,
    Prompt,
    Sample,
    VisionCut,
)

Precision = Literal["bf16", "fp16", "fp32"]
Autocast = Callable[[], AbstractContextManager[Any]]

_DTYPES: Final = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
_MAX_COUNTS: Final = 4096
"""Numbers of an input that is kept next to the features: the grid of a page, but not the mask of its pixels."""
_IDS: Final = "ids"
_ASKED: Final = "asked"
_PAGES: Final = "pages."
_MARKS: Final = "marks."
_TOLERANCE: Final = 1e-2
"""Of the largest logit, between a model that is fed pixels and one that is fed features: rounding in bf16."""


class StoredVision:
    """Implements `CachedVision` for the constant vision part of `model`."""

    def __init__(
        self, model: PageModel, cut: VisionCut, store: FeatureStore, precision: Precision, autocast: Autocast
    ) -> None:
        self.store = store
        self._family = model.family
        self._cut = cut
        self._autocast = autocast
        self._dtype = _DTYPES[precision]
        self._asked = torch.tensor([*hash_prompts(model.family)], dtype=torch.uint8)

    def read_prompt(self, pages: Sequence[bytes], build: Callable[[], Prompt]) -> Prompt:
        key = hashlib.sha256(b"".join(hashlib.sha256(page).digest() for page in pages)).hexdigest()
        entry = self.store.read(key)
        if entry is None:
            return replace(build(), key=key)
        tensors = _select(entry, _PAGES)
        if not torch.equal(entry[_ASKED], self._asked):  # the same pages in another prompt
            return replace(build(), tensors=tensors, key=key, is_encoded=True)
        marks = {name: values.tolist() for name, values in _select(entry, _MARKS).items()}
        return Prompt(len(pages), entry[_IDS].tolist(), tensors, marks, key, is_encoded=True)

    def encode(self, prompts: Sequence[Prompt]) -> Inputs:
        return join_tensors([self._encode(prompt) for prompt in prompts])

    def _encode(self, prompt: Prompt) -> Prompt:
        if prompt.is_encoded:
            return prompt
        entry = self.store.read_again(prompt.key) if prompt.key is not None else None
        if entry is not None:  # since the batch was made
            return replace(prompt, tensors=_move(_select(entry, _PAGES), _find_device(prompt.tensors)))
        with torch.no_grad():
            features = encode_pages(self._family, self._cut, prompt.tensors, self._autocast, self._dtype)
        if prompt.key is not None:
            self.store.write(prompt.key, self._build_entry(prompt, features))
        return replace(prompt, tensors=features)

    def _build_entry(self, prompt: Prompt, features: Inputs) -> Inputs:
        return {
            _ASKED: self._asked,
            _IDS: torch.tensor(prompt.ids, dtype=torch.int64),
            **{_MARKS + name: torch.tensor(values, dtype=torch.int64) for name, values in prompt.marks.items()},
            **{_PAGES + name: tensor for name, tensor in features.items()},
        }


def encode_pages(
    family: Family, cut: VisionCut, tensors: Mapping[str, torch.Tensor], autocast: Autocast, dtype: torch.dtype
) -> Inputs:
    """The pages of one prompt -> their features in `dtype`, and the small inputs that the rest of the model takes."""
    with autocast():
        features = cut.encode(family.prepare(dict(tensors)))
    counts = {
        name: tensor
        for name, tensor in tensors.items()
        if name not in features and not tensor.is_floating_point() and tensor.numel() <= _MAX_COUNTS
    }
    return {**counts, **{name: tensor.to(dtype) for name, tensor in features.items()}}


def cut_constant_vision(
    model: PageModel, settings: TrainingSettings, autocast: Autocast
) -> tuple[VisionCut | None, str]:
    """The cut behind a vision part that gives the same features in every step, fed from now on; or None, and why.

    Tried on a page: its features must not depend on a trained weight or on chance (dropout), and the model must make
    the same of them as of the pixels. Call it after `place_module`.
    """
    module = find_library_module(model.module)
    cut = model.family.cut_vision(module)
    if cut is None:
        return None, f"models of type {module.config.model_type} cannot be fed with features"
    first, last = _find_plain_tokens(model)
    sample = Sample(model.family.build_prompt([_draw_probe()]), [first, last])
    pages = _move(sample.prompt.tensors, module.device)
    was_training = model.module.training
    try:
        found = []
        for seed, training in ((0, True), (1, True), (1, False)):
            torch.manual_seed(seed)
            model.module.train(training)
            found.append(encode_pages(model.family, cut, pages, autocast, _DTYPES[settings.precision]))
        if any(tensor.requires_grad for tensor in found[0].values()):
            return None, "the vision part is trained; add vision to spec.model.freeze"
        if any(not torch.equal(tensor, other[name]) for other in found[1:] for name, tensor in found[0].items()):
            return None, "the vision part has dropout, so it makes something else of a page each time"
        seen = _run(model, sample, pages, autocast)
        cut.is_fed = True
        fed = _run(model, sample, found[0], autocast)
        if (fed - seen).abs().max() > _TOLERANCE * seen.abs().max():
            cut.is_fed = False
            return None, f"models of type {module.config.model_type} make something else of features than of pixels"
    except (AttributeError, IndexError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        # How models of the library say that they cannot be fed so. Training does without the cache then.
        cut.is_fed = False
        return None, f"models of type {module.config.model_type} cannot be fed with features ({error})"
    finally:
        model.module.train(was_training)
    return cut, ""


def find_library_module(module: Any) -> Any:
    """The model inside of peft's wrapper."""
    return module.get_base_model() if hasattr(module, "get_base_model") else module


def name_vision(model: PageModel, cut: VisionCut, settings: TrainingSettings) -> str:
    """Names what the features of a page depend on apart from the page: weights, pixel settings, dtype, libraries."""
    module = find_library_module(model.module)
    images = model.processor.image_processor.to_dict()
    document = {
        "libraries": [torch.__version__, transformers.__version__],
        "model": type(module).__name__,
        "device": _describe_device(module.device),
        "attention": getattr(module.config, "_attn_implementation", ""),
        "precision": settings.precision,
        "pages": settings.image_processor.to_dict(),
        "processor": {name: str(value) for name, value in sorted(images.items())},
        "weights": [
            f"{name} {weight.dtype} {[*weight.shape]} {compute_checksum(locate(name, weight))}"
            for name, weight in sorted(cut.list_weights().items())
        ],
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


def _describe_device(device: torch.device) -> list[str]:
    """What decides how numbers are rounded."""
    if device.type != "cuda":
        return [device.type]
    return [torch.cuda.get_device_name(device), torch.get_float32_matmul_precision()]


def hash_prompts(family: Family) -> bytes:
    """Changes with the text around pages, which is part of the ids that are stored with their features."""
    counts = (1,) if family.max_pages == 1 else (1, 2)
    prompts = [family.build_prompt([Image.new("L", A4)] * count) for count in counts]
    return hashlib.sha256(json.dumps([list(prompt.ids) for prompt in prompts]).encode()).digest()


def _run(model: PageModel, sample: Sample, pages: Inputs, autocast: Autocast) -> torch.Tensor:
    """Logits of a sample with these pixels or features."""
    bare = replace(sample, prompt=replace(sample.prompt, tensors={}))
    batch = model.family.collate([bare]).to(find_library_module(model.module).device)
    inputs = model.family.prepare({**batch.inputs, **pages})
    with torch.no_grad(), autocast():
        logits: torch.Tensor = model.module(**inputs, use_cache=False).logits
    return logits.float()


def _find_plain_tokens(model: PageModel) -> list[int]:
    special = set(model.tokenizer.all_special_ids)
    return [number for number in range(len(special) + 2) if number not in special][:2]


def _draw_probe() -> Image.Image:
    """Not of one colour: padding must not hide a difference."""
    return Image.linear_gradient("L").resize((310, 438))


def _move(tensors: Mapping[str, torch.Tensor], device: torch.device) -> Inputs:
    return {name: value if name in HOST_INPUTS else value.to(device) for name, value in tensors.items()}


def _find_device(tensors: Mapping[str, torch.Tensor]) -> torch.device:
    return next(tensor.device for name, tensor in tensors.items() if name not in HOST_INPUTS)


def _select(entry: Mapping[str, torch.Tensor], prefix: str) -> Inputs:
    return {name.removeprefix(prefix): value for name, value in entry.items() if name.startswith(prefix)}
