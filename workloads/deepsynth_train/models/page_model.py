"""The interface between the loop and a model family."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageRule:
    """How a page of any size becomes a square of `side` pixels; the same as the published processor does.

    fit: "pad" keeps the aspect ratio and centres the page on `background` (grey value), "stretch" does not.
    mean, std: of the RGB channels in the range 0 to 1.
    """

    side: int
    fit: Literal["pad", "stretch"]
    background: int
    resample: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Sample:
    """pages: uint8 of shape (pages, 3, side, side). label: token ids without EOS."""

    pages: NDArray[np.uint8]
    label: list[int]


@dataclass(frozen=True)
class Batch:
    """What one forward pass takes.

    inputs: arguments of the model's forward; pixel_values are uint8 of shape (pages, 3, side, side) until
        `normalise_pixels`. rows: bool of shape (samples, positions), the output positions that predict a label
        token. targets: int64 of shape (label tokens,), in the order of `rows`. samples: 0 for a filler.
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
        """Positions that one page takes; what the prompt builder assumes."""

    @property
    def max_pages(self) -> int | None:
        """Most pages of one sample; None: as many as fit the context."""

    @property
    def context_tokens(self) -> int:
        """Most positions of one sequence."""

    @property
    def vision(self) -> Sequence[str]:
        """Names of the modules that `freeze: [vision]` means."""

    @property
    def language(self) -> Sequence[str]:
        """Names of the modules that `freeze: [language]` means."""

    @property
    def unused(self) -> Sequence[str]:
        """Names of parameters that never get a gradient with this image size."""

    def count_tokens(self, pages: NDArray[np.int64], label_tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Length of each sample's sequence: prompt, pages, label and EOS."""

    def collate(self, samples: Sequence[Sample]) -> Batch: ...

    def build_prompt(self, sample: Sample) -> dict[str, torch.Tensor]:
        """Arguments of `generate` for one sample, without its label."""

    def count_image_tokens(self, module: Any, pixel_values: torch.Tensor) -> int:
        """Positions that the model itself makes of one page of shape (1, 3, side, side)."""


@dataclass(frozen=True)
class PageModel:
    """A model with all that belongs to it.

    module: a transformers PreTrainedModel in fp32, or peft's wrapper of one. processor: transformers' own for
    this model, published with it.
    """

    module: Any
    processor: Any
    family: Family
    image: ImageRule

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    def encode_label(self, text: str) -> list[int]:
        """Token ids of a label, without BOS and EOS."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def normalise_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (pages, 3, side, side) to what the model was trained on, float32, on the same device."""
        mean = torch.tensor(self.image.mean, device=pixels.device).view(1, 3, 1, 1)
        std = torch.tensor(self.image.std, device=pixels.device).view(1, 3, 1, 1)
        return (pixels.float() / 255 - mean) / std
