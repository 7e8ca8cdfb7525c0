"""A small model that writes something different for each page, and its samples without a dataset."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from support.training.tiny_training import build_model, build_world

if TYPE_CHECKING:
    from deepsynth_train.data.loader import BatchMaker
    from deepsynth_train.models.interface.page_model import PageModel, Sample

MAX_NEW_TOKENS = 16


def build_chatty_model(uri: str, **changes: Any) -> PageModel:
    """Its texts depend on the page and end after different numbers of tokens; a model as built repeats one token."""
    import torch

    model = build_model(uri, **changes)
    torch.manual_seed(3)
    for parameter in model.module.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.module.generation_config.eos_token_id = list(range(1, 260, 9))
    return model


def build_maker(model: PageModel, samples: list[Sample]) -> BatchMaker:
    pages = np.array([sample.prompt.pages for sample in samples])
    tokens = np.array([len(sample.prompt.ids) + len(sample.label) + 1 for sample in samples])
    data = SimpleNamespace(index=SimpleNamespace(pages=pages, tokens=tokens))
    maker: BatchMaker = SimpleNamespace(  # type: ignore[assignment]  # all that generation uses of it
        model=model, samples=data, read_sample=lambda number: samples[number]
    )
    return maker


def write(maker: BatchMaker, numbers: list[int], **changes: Any) -> dict[int, str]:
    import torch

    from deepsynth_train.evaluation.generation import Generator

    settings: dict[str, Any] = {
        "world": build_world(),
        "autocast": nullcontext,
        "beat": lambda: None,
        "max_new_tokens": MAX_NEW_TOKENS,
        "batch_pages": 4,
        "in_step": False,
        "threads": 1,
    }
    maker.model.module.eval()
    with torch.no_grad():
        return Generator(maker, **{**settings, **changes}).write(numbers)
