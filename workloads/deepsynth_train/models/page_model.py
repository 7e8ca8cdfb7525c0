"""What the trainer knows of a model: PageModel, its Family, and the Sample and Batch that it takes.

Letters in the comments on shapes: B samples, P pages, S side of a page in pixels, T positions of a sequence,
D width of the model, N_label label tokens of a batch, vocab size of the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from deepsynth_train.models.text import encode_texts, find_special_ids


@dataclass(frozen=True)
class ImageRule:
    """How a page of any size becomes a square of `side` pixels, exactly as in the published processor.

    fit: "pad" keeps the aspect ratio and centres the page on `background` (grey value), "stretch" ignores the ratio.
    mean, std: per RGB channel, in the range 0 to 1.
    """

    side: int
    fit: Literal["pad", "stretch"]
    background: int
    resample: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Sample:
    """pages: uint8, (P, 3, S, S). label: token ids without EOS."""

    pages: NDArray[np.uint8]
    label: list[int]


@dataclass(frozen=True)
class Batch:
    """What one forward pass takes.

    inputs: arguments of the model's forward; pixel_values are uint8, (P, 3, S, S), until `normalise_pixels`.
    rows: bool, (B, T), the output positions that predict a label token.
    targets: int64, (N_label,), in the order of `rows`: targets[i] is predicted at the i-th True of `rows`.
    samples: B, or 0 for a filler.
    """

    inputs: dict[str, torch.Tensor]
    rows: torch.Tensor
    targets: torch.Tensor
    samples: int

    @property
    def pages(self) -> int:
        return int(self.inputs["pixel_values"].shape[0])

    def to(self, device: torch.device) -> "Batch":
        inputs = {name: value.to(device, non_blocking=True) for name, value in self.inputs.items()}
        return Batch(inputs, self.rows.to(device), self.targets.to(device), self.samples)


class Family(Protocol):
    """What differs between architectures."""

    @property
    def image_tokens(self) -> int:
        """Positions that the prompt reserves for one page."""

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

    def count_tokens(self, pages: NDArray[np.int64], label_tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Length of each sample's sequence: prompt, pages, label and EOS. int64, (samples,) each."""

    def collate(self, samples: Sequence[Sample]) -> Batch: ...

    def collate_prompts(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        """Arguments of `generate`, without labels. Prompts of a decoder-only model are padded on the left."""

    def count_image_tokens(self, module: Any, pixel_values: torch.Tensor) -> int:
        """Positions that the model turns one page, (1, 3, S, S), into."""


@dataclass(frozen=True)
class PageModel:
    """A model with its processor, its family and its page size.

    module: a transformers PreTrainedModel, or peft's wrapper of one. processor: the transformers processor
    that is published with it. stored_dtype: of the weights in the files; a published model has it again, whatever
    dtypes it was trained in.
    """

    module: Any
    processor: Any
    family: Family
    image: ImageRule
    stored_dtype: torch.dtype = torch.float32

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    def encode_label(self, text: str) -> list[int]:
        """Token ids of a label, without BOS and EOS. The name of a special token in it is text."""
        return self.encode_labels([text])[0]

    def encode_labels(self, texts: Sequence[str]) -> list[list[int]]:
        """The same for many labels at once, which is faster."""
        return encode_texts(self.tokenizer, self._special_ids, texts)

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        return find_special_ids(self.tokenizer, self.module.config)

    def normalise_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """(P, 3, S, S) uint8 -> (P, 3, S, S) float32, scaled as in pretraining, on the same device."""
        mean = torch.tensor(self.image.mean, device=pixels.device).view(1, 3, 1, 1)
        std = torch.tensor(self.image.std, device=pixels.device).view(1, 3, 1, 1)
        return (pixels.float() / 255 - mean) / std
