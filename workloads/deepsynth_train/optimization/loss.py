"""Cross entropy over label tokens. The output layer runs only on the positions that predict one."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from deepsynth_train.models.interface.page_model import Batch, PageModel

CHUNK: Final = 2**25
"""Logits that are cast to fp32 at once: 128 MiB."""


def compute_loss_sum(
    model: PageModel, batch: Batch, autocast: Callable[[], AbstractContextManager[Any]]
) -> torch.Tensor:
    """The sum, not the mean, over the batch's label tokens: a scalar, fp32. The batch is on the model's device.

    The caller divides by the label tokens of the whole optimizer step. A mean per micro-batch would give the tokens
    of short batches more weight.
    """
    inputs = model.prepare(batch)
    with autocast(), score_rows(model.module, batch.rows):
        logits: torch.Tensor = model.module(**inputs, use_cache=False).logits  # (N_label, vocab), not (B, T, vocab)
    return sum_cross_entropy(logits, batch.targets)


def sum_cross_entropy(logits: torch.Tensor, targets: torch.Tensor, chunk: int = CHUNK) -> torch.Tensor:
    """(N_label, vocab) and (N_label,) -> (), fp32: the sum over all rows.

    In fp32 the logits of a large vocabulary take more memory than the layers, so at most `chunk` of them are cast at
    once, and once more in the backward pass.
    """
    rows = max(1, chunk // logits.shape[1])
    if len(targets) <= rows:
        return _sum_rows(logits, targets)
    parts = zip(torch.split(logits, rows), torch.split(targets, rows), strict=True)
    sums = [checkpoint(_sum_rows, *part, use_reentrant=False, preserve_rng_state=False) for part in parts]
    return torch.stack(sums).sum()


def _sum_rows(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(logits.float(), targets, reduction="sum")


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
