"""Cross entropy over label tokens, with the output layer run on label rows only."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

from deepsynth_train.models.page_model import Batch, PageModel


def compute_loss_sum(
    model: PageModel, batch: Batch, autocast: Callable[[], AbstractContextManager[Any]]
) -> torch.Tensor:
    """Sum, not mean, over the batch's label tokens, fp32 scalar; the batch is on the model's device.

    The caller divides by the label tokens of the whole optimizer step. A mean per micro-batch would weigh tokens
    of short batches more.
    """
    inputs = dict(batch.inputs)
    inputs["pixel_values"] = model.normalise_pixels(inputs["pixel_values"])
    with autocast(), score_rows(model.module, batch.rows):
        logits: torch.Tensor = model.module(**inputs, use_cache=False).logits
    return nn.functional.cross_entropy(logits.float(), batch.targets, reduction="sum")


@contextmanager
def score_rows(module: Any, rows: torch.Tensor) -> Iterator[None]:
    """Inside, the output layer sees only the positions in `rows` (bool, samples x positions).

    Logits are of shape (rows, vocabulary). With a vocabulary of 129,280 and one label token in ten this is most of
    the memory of the loss.
    """
    head = module.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, arguments: (arguments[0][rows],))
    try:
        yield
    finally:
        hook.remove()
