"""Prompts and labels of several samples as one batch: padded sequences, concatenated pages.

One sequence per sample. With prompts of 3 and 4 tokens and labels of 3 and 1 (t is the first position of a line):

    input_ids   p  p  p  l1 l2 l3          rows of the first line:   t+2, t+3, t+4, t+5
    input_ids   p  p  p  p  l1 pad         targets:                  l1   l2   l3   EOS
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

from deepsynth_train.models.families.page_features import PLACES, find_places
from deepsynth_train.models.interface.page_model import Batch, Inputs, Prompt, Sample


def collate_sequences(samples: Sequence[Sample], *, pad: int, end: int, image_token: int | None = None) -> Batch:
    """A batch for a decoder-only model. pad: fills the shorter sequences. end: the token to predict after a label.
    image_token: whose places the model takes as an input (`embed_at_places`).
    """
    lines = [[*sample.prompt.ids, *sample.label] for sample in samples]
    width = max(map(len, lines))
    inputs = {
        "input_ids": _pad([(line, 0) for line in lines], width, pad),  # (B, T)
        "attention_mask": _pad([([1] * len(line), 0) for line in lines], width, 0),  # (B, T)
        **_pad_marks([(sample.prompt, 0) for sample in samples], width),
        **join_tensors([sample.prompt for sample in samples]),
    }
    if image_token is not None:
        inputs[PLACES] = find_places([sample.prompt.ids for sample in samples], width, image_token)
    rows = [  # the last prompt token predicts the first label token
        width * line + position
        for line, sample in enumerate(samples)
        for position in range(len(sample.prompt.ids) - 1, len(lines[line]))
    ]
    return Batch(inputs, torch.tensor(rows), build_targets(samples, end), len(samples), count_pages(samples))


def collate_left(samples: Sequence[Sample], *, pad: int) -> Inputs:
    """The prompts alone, padded on the left, so that the next token of all of them is at the same position."""
    prompts = [sample.prompt for sample in samples]
    width = max(len(prompt.ids) for prompt in prompts)
    starts = [width - len(prompt.ids) for prompt in prompts]
    return {
        "input_ids": _pad([(p.ids, start) for p, start in zip(prompts, starts, strict=True)], width, pad),  # (B, T)
        "attention_mask": _pad([([1] * len(p.ids), s) for p, s in zip(prompts, starts, strict=True)], width, 0),
        **_pad_marks(list(zip(prompts, starts, strict=True)), width),
        **join_tensors(prompts),
    }


def build_targets(samples: Sequence[Sample], end: int) -> torch.Tensor:
    """(N_label,), int64."""
    return torch.tensor([token for sample in samples for token in (*sample.label, end)])


def count_pages(samples: Sequence[Sample]) -> int:
    return sum(sample.prompt.pages for sample in samples)


def join_tensors(prompts: Sequence[Prompt]) -> Inputs:
    """Concatenate along the first dimension; other dimensions are padded with zeros to the largest of the batch.

    Grey pages, (P, 1, S, S), next to pages in colour, (P, 3, S, S), get three planes.
    """
    names = dict.fromkeys(name for prompt in prompts for name in prompt.tensors)
    return {name: _join([p.tensors[name] for p in prompts if name in p.tensors]) for name in names}


def _join(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    if parts[0].dtype == torch.uint8 and parts[0].ndim == 4 and len({part.shape[1] for part in parts}) > 1:
        parts = [part.expand(-1, 3, -1, -1) for part in parts]
    shape = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True)]
    return torch.cat([_grow(part, shape) for part in parts])


def _grow(part: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    missing = [wanted - size for wanted, size in zip(shape, part.shape[1:], strict=True)]
    if not any(missing):
        return part
    return functional.pad(part, [amount for size in reversed(missing) for amount in (0, size)])


def _pad_marks(prompts: Sequence[tuple[Prompt, int]], width: int) -> Inputs:
    names = dict.fromkeys(name for prompt, _ in prompts for name in prompt.marks)
    return {name: _pad([(prompt.marks[name], start) for prompt, start in prompts], width, 0) for name in names}


def _pad(lines: Sequence[tuple[Sequence[int], int]], width: int, value: int) -> torch.Tensor:
    """(B, width), int64. lines: integers, and the position of the first."""
    padded = torch.full((len(lines), width), value)
    for line, (values, start) in enumerate(lines):
        padded[line, start : start + len(values)] = torch.tensor(values)
    return padded
