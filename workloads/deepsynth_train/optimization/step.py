"""One optimizer step: micro-batches, one sum over ranks, clipping, the update.

    rank 0: micro-batch, micro-batch ──┐
                                       ├── sum gradients, loss and counts ── clip ── optimizer.step() on every rank
    rank 1: micro-batch, micro-batch ──┘

The gradient is that of the mean loss over the label tokens of the whole step, on any number of ranks.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from deepsynth_train.coordination.world import World
from deepsynth_train.models.interface.page_model import Batch, PageModel
from deepsynth_train.optimization.loss import compute_loss_sum
from deepsynth_train.optimization.precision import LossScale
from deepsynth_train.optimization.reduction import Reduction


@dataclass(frozen=True)
class Flags:
    """What one rank asks for. All ranks do it if any rank asks."""

    stop: bool = False
    save: bool = False


@dataclass(frozen=True)
class StepOutcome:
    """The same on all ranks except waited_seconds.

    loss: per label token. grad_norm: of the mean loss, before clipping. updated: loss and norm of all ranks are
    finite; otherwise the weights did not change. overflowed: only fp16's loss scale was too high.
    """

    loss: float
    grad_norm: float
    label_tokens: int
    samples: int
    pages: int
    updated: bool
    overflowed: bool
    flags: Flags
    waited_seconds: float


class RefusedBatchError(Exception):
    """The model's code raised its cause about what is in a batch of this rank."""


@dataclass
class Stepper:
    """Everything a step needs except its data."""

    model: PageModel
    optimizer: torch.optim.Optimizer
    reduction: Reduction
    world: World
    autocast: Callable[[], AbstractContextManager[Any]]
    loss_scale: LossScale
    max_grad_norm: float

    def run(self, batches: Iterator[Batch], count: int, learning_rate: float, flags: Flags) -> StepOutcome:
        """Take `count` micro-batches (0 is allowed) and update the weights, unless a loss or norm is not finite.

        Raises RefusedBatchError when the model cannot compute with a batch.
        """
        self.reduction.zero()
        local = _Totals(torch.zeros((), device=self.world.device))
        for number in range(count):
            batch = self._take(batches, local)
            if number == count - 1:
                self.reduction.arm()
            self._accumulate(batch, local)
        totals = self._sum(local, self.reduction.finish(), flags)
        outcome = self._conclude(totals, local.waited_seconds)
        if outcome.updated:
            self._update(outcome, learning_rate)
        self.loss_scale.update(finite=outcome.updated)
        return outcome

    def _take(self, batches: Iterator[Batch], local: "_Totals") -> Batch:
        start = time.perf_counter()
        batch = next(batches)
        local.waited_seconds += time.perf_counter() - start
        return batch.to(self.world.device)

    def _accumulate(self, batch: Batch, local: "_Totals") -> None:
        try:
            loss = compute_loss_sum(self.model, batch, self.autocast)  # (), fp32, sum over the N_label tokens
        except (ValueError, TypeError, LookupError) as error:
            raise RefusedBatchError from error
        (loss * self.loss_scale.scale).backward()  # type: ignore[no-untyped-call]
        local.loss = local.loss + loss.detach()
        local.label_tokens += len(batch.targets)
        local.samples += batch.samples
        local.pages += batch.pages

    def _sum(self, local: "_Totals", norm: torch.Tensor, flags: Flags) -> list[float]:
        """Totals over all ranks, in one all-reduce: 9 numbers, float64. The only time that a step waits for the device.

        norm: the same on all ranks, so their sum is a multiple of it, exact in float64.
        """
        counts = torch.tensor(
            [local.label_tokens, local.samples, local.pages, flags.stop, flags.save], dtype=torch.float64
        )
        if self.world.device.type == "cuda":
            counts = counts.pin_memory()
        pair = torch.stack([local.loss.double(), norm.double()])  # (2,)
        bad = ~pair.isfinite()
        known = pair.where(~bad, 0.0)
        return self.world.sum(torch.cat([counts.to(self.world.device, non_blocking=True), known, bad.double()]))

    def _conclude(self, totals: list[float], waited: float) -> StepOutcome:
        tokens, samples, pages, stop, save, loss, norms, bad_loss, bad_norm = totals
        norm = norms / self.world.size
        updated = not (bad_loss or bad_norm)
        return StepOutcome(
            loss=math.nan if bad_loss else loss / tokens,
            grad_norm=norm / (tokens * self.loss_scale.scale) if updated else math.nan,
            label_tokens=int(tokens),
            samples=int(samples),
            pages=int(pages),
            updated=updated,
            overflowed=bool(bad_norm and not bad_loss and self.loss_scale.dynamic),
            flags=Flags(stop > 0, save > 0),
            waited_seconds=waited,
        )

    def _update(self, outcome: StepOutcome, learning_rate: float) -> None:
        """Gradients are still sums: divide by the label tokens of all ranks and clip, in one multiplication."""
        clip = self.max_grad_norm / (outcome.grad_norm + 1e-6) if self.max_grad_norm else 1.0
        self.reduction.scale(min(1.0, clip) / (outcome.label_tokens * self.loss_scale.scale))
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()


@dataclass
class _Totals:
    """Of this rank in this step. loss: on the device, so that the CPU does not wait for the GPU."""

    loss: torch.Tensor
    label_tokens: int = 0
    samples: int = 0
    pages: int = 0
    waited_seconds: float = 0.0
