"""What the trainer knows of a model: PageModel, its Family, and the Prompt, Sample and Batch that it takes.

    pages of a document ── Family.build_prompt ──▶ Prompt ─┐
                                                           ├─▶ Sample ── PageModel.collate ─────────▶ Batch, to train on
    its text ─────────── PageModel.encode_label ─▶ label ──┘         └── PageModel.collate_prompts ─▶ one to generate

The pages of a batch are pixels. Where the features of pages are cached (PageModel.vision), they take the place of the
pixels in `PageModel.prepare`.

Letters in the comments on shapes: B samples, P pages, S side of a page in pixels, T positions of a sequence,
D width of the model, N_label label tokens of a batch, vocab size of the vocabulary.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from deepsynth_train.models.interface.text import count_tokens, encode_text, find_special_ids

Inputs = dict[str, torch.Tensor]
"""Arguments of the model's forward pass, by name."""
HOST_INPUTS: Final = frozenset({"num_local_patches", "patches_grid"})
"""Counts that a model reads on the host: on a GPU it would wait for them."""


@dataclass(frozen=True)
class Prompt:
    """Everything that the model gets of a sample before its label: the pages, and the text around them.

    pages: P. ids: token ids with a placeholder for every position of the pages; empty for an encoder-decoder.
    tensors: the pages as the model takes them; of a batch they are concatenated along the first dimension. Pixels are
    uint8 where the device can scale them (`Family.prepare`). marks: further inputs with one integer for each id, such
    as `mm_token_type_ids`; 0 for label tokens. key: of the pages in the cache of features; None if they are not cached.
    is_encoded: `tensors` holds features of the pages in the place of pixels.
    """

    pages: int
    ids: Sequence[int]
    tensors: Mapping[str, torch.Tensor]
    marks: Mapping[str, Sequence[int]] = field(default_factory=dict)
    key: str | None = None
    is_encoded: bool = False


@dataclass(frozen=True)
class Sample:
    """label: token ids without EOS."""

    prompt: Prompt
    label: Sequence[int]

    @property
    def tokens(self) -> int:
        """Length of the sequence, EOS included."""
        return len(self.prompt.ids) + len(self.label) + 1


@dataclass(frozen=True)
class Batch:
    """What one forward pass takes.

    inputs: arguments of the model's forward once `PageModel.prepare` has scaled the pixels.
    rows: int64, (N_label,), the output positions that predict a label token, counted over all sequences: t + T * b.
    targets: int64, (N_label,), in the order of `rows`: targets[i] is predicted at position rows[i].
    samples: B, or 0 for a filler. pages: P, or 0 for a filler. prompts: of the samples in order, if their pages are not
    in `inputs`, because `PageModel.vision` encodes those of each by themselves.
    """

    inputs: Inputs
    rows: torch.Tensor
    targets: torch.Tensor
    samples: int
    pages: int
    prompts: Sequence[Prompt] = ()

    def to(self, device: torch.device) -> "Batch":
        """The copy does not wait for the device if the batch is in pinned memory."""
        return self._map(lambda value: value.to(device, non_blocking=True))

    def pin(self) -> "Batch":
        """In memory that a GPU copies from without help of the CPU."""
        return self._map(torch.Tensor.pin_memory)

    def empty(self) -> "Batch":
        """The same forward pass without label tokens, for a rank that must run one but has no sample left."""
        return replace(self, rows=self.rows[:0], targets=self.targets[:0], samples=0, pages=0)

    def _map(self, move: Callable[[torch.Tensor], torch.Tensor]) -> "Batch":
        def move_all(tensors: Mapping[str, torch.Tensor]) -> Inputs:
            return {name: value if name in HOST_INPUTS else move(value) for name, value in tensors.items()}

        prompts = [replace(prompt, tensors=move_all(prompt.tensors)) for prompt in self.prompts]
        return replace(
            self, inputs=move_all(self.inputs), rows=move(self.rows), targets=move(self.targets), prompts=prompts
        )


class VisionCut(Protocol):
    """A place in a model where features of pages can be taken out, and fed.

    is_fed: the inputs of the model under the names of pixels are features.
    """

    is_fed: bool

    def list_weights(self) -> dict[str, torch.Tensor]:
        """What the features are made with, by name."""

    def encode(self, inputs: Inputs) -> Inputs:
        """Scaled pixels -> the features made of them, under the names of the pixels. Their first dimension is that of
        pages, tiles or positions, so that the features of several prompts can be concatenated.
        """


class Family(Protocol):
    """What differs between architectures."""

    @property
    def image_tokens(self) -> int:
        """Positions that the prompt reserves for one page; where that depends on its size, for an A4 page."""

    @property
    def fixed_tokens(self) -> int:
        """Length of a sequence without pages and label: the text of the prompt, and the token that ends a label."""

    @property
    def reads_sizes(self) -> bool:
        """Whether the positions of a page depend on its size."""

    @property
    def max_pages(self) -> int | None:
        """Upper limit for the pages of one sample; None: as many as fit the context."""

    @property
    def context_tokens(self) -> int:
        """Upper limit for the positions of one sequence."""

    @property
    def vision(self) -> Sequence[str]:
        """Modules that `freeze: [vision]` freezes."""

    @property
    def language(self) -> Sequence[str]:
        """Modules that `freeze: [language]` freezes."""

    @property
    def unused(self) -> Sequence[str]:
        """Parameters that never get a gradient at this page size."""

    def count_page_tokens(self, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions of each page in a sequence. sizes: width and height in pixels, (P, 2). -> (P,)"""

    def build_prompt(self, pages: Sequence[Image.Image]) -> Prompt:
        """The prompt for the pages of one sample, each in mode L or RGB. Called by several threads at once."""

    def collate(self, samples: Sequence[Sample]) -> Batch: ...

    def collate_prompts(self, samples: Sequence[Sample]) -> Inputs:
        """Arguments of `generate` for a batch, without labels; prompts of a decoder-only model are padded on the left.

        Pixels as in `Batch.inputs`, so `prepare` is next.
        """

    def prepare(self, inputs: Inputs) -> dict[str, Any]:
        """Scale the pixels as in pretraining, on the device that they are on: uint8 -> float32.

        The result is what the model's forward takes. Features of pages stay as they are.
        """

    def check(self, module: Any) -> None:
        """Run one blank page through the vision part. Raises ConfigurationError when it gives another number of
        positions than the prompt reserves for it.
        """

    def cut_vision(self, module: Any) -> VisionCut | None:
        """A cut through `module`, a model of the library; None for a model that has no place for one."""


class CachedVision(Protocol):
    """The vision part of a model that is frozen, so that what it makes of a page is always the same."""

    def read_prompt(self, pages: Sequence[bytes], build: Callable[[], Prompt]) -> Prompt:
        """The prompt for these encoded pages: with their features if those are cached, else from `build`, which decodes
        the pages, with the key to cache them. Called by several threads at once.
        """

    def encode(self, prompts: Sequence[Prompt]) -> Inputs:
        """The features of all pages, computed where they are not cached, and cached then."""


@dataclass(frozen=True)
class PageModel:
    """A model with its processor and its family.

    module: a transformers PreTrainedModel, or peft's wrapper of one. processor: the transformers processor
    that is published with it. stored_dtype: of the weights in the files; a published model has it again,
    not the dtypes that it was trained in. vision: None if the features of pages are not cached.
    """

    module: Any
    processor: Any
    family: Family
    stored_dtype: torch.dtype = torch.float32
    vision: CachedVision | None = None

    def collate(self, samples: Sequence[Sample]) -> Batch:
        batch = self.family.collate(self._drop_pages(samples))
        return replace(batch, prompts=self._list_prompts(samples))

    def collate_prompts(self, samples: Sequence[Sample]) -> Batch:
        """A batch for `generate`, without labels."""
        none = torch.empty(0, dtype=torch.int64)
        inputs = self.family.collate_prompts(self._drop_pages(samples))
        return Batch(inputs, none, none, len(samples), 0, self._list_prompts(samples))

    def prepare(self, batch: Batch) -> dict[str, Any]:
        """What the model's forward takes. The batch is on the model's device."""
        pages = self.vision.encode(batch.prompts) if self.vision is not None and batch.prompts else {}
        return self.family.prepare({**batch.inputs, **pages})

    def _drop_pages(self, samples: Sequence[Sample]) -> Sequence[Sample]:
        if self.vision is None:
            return samples
        return [replace(sample, prompt=replace(sample.prompt, tensors={})) for sample in samples]

    def _list_prompts(self, samples: Sequence[Sample]) -> Sequence[Prompt]:
        return () if self.vision is None else [sample.prompt for sample in samples]

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    def encode_label(self, text: str) -> list[int]:
        """Token ids of a label, without BOS and EOS. The name of a special token in it is text."""
        return encode_text(self.tokenizer, self.special_ids, text)

    def count_label_tokens(self, texts: Sequence[str]) -> list[int]:
        """Lengths of many labels, on all cores of the node."""
        return count_tokens(self.tokenizer, self.special_ids, texts)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids that no label has."""
        return find_special_ids(self.tokenizer, self.module.config)
