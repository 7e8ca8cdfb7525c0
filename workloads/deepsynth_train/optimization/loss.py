"""Cross entropy over label tokens. The output layer runs only on the positions that predict one."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

from deepsynth_train.models.page_model import Batch, PageModel


def compute_loss_sum(
    model: PageModel, batch: Batch, autocast: Callable[[], AbstractContextManager[Any]]
) -> torch.Tensor:
    """The sum, not the mean, over the batch's label tokens: a scalar, fp32. The batch is on the model's device.

    The caller divides by the label tokens of the whole optimizer step. A mean per micro-batch would give the tokens
    of short batches more weight.
    """
    inputs = model.family.prepare(batch.inputs)
    with autocast(), score_rows(model.module, batch.rows):
        logits: torch.Tensor = model.module(**inputs, use_cache=False).logits  # (N_label, vocab), not (B, T, vocab)
    return nn.functional.cross_entropy(logits.float(), batch.targets, reduction="sum")  # (N_label, vocab) -> ()


@contextmanager
def score_rows(module: Any, rows: torch.Tensor) -> Iterator[None]:
    """Inside, the output layer gets only the hidden states at `rows` (int64, (N_label,)):

        hidden (B, T, D) -> (B * T, D) -> at rows (N_label, D) -> logits (N_label, vocab)

    With a vocabulary of 129,280 and one label token in ten positions, this saves 90 % of the logits' memory.
    """
    head = module.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, arguments: (arguments[0].flatten(0, 1).index_select(0, rows),))
    try:
        yield
    finally:
        hook.remove()
