"""One optimizer step: micro-batches, one sum over ranks, clipping, the update."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from deepsynth_train.models.page_model import Batch, PageModel
from deepsynth_train.optimization.loss import compute_loss_sum
from deepsynth_train.optimization.precision import LossScale
from deepsynth_train.optimization.reduction import Reduction
from deepsynth_train.world import World


@dataclass(frozen=True)
class Flags:
    """What one rank wants; any rank's wish counts."""

    stop: bool = False
    save: bool = False


@dataclass(frozen=True)
class StepOutcome:
    """Equal on all ranks but for waited_seconds.

    loss: per label token. grad_norm: of the mean loss, before clipping. updated: loss and norm of all ranks are
    finite; otherwise the weights were left alone. overflowed: that was only fp16's loss scale.
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


@dataclass
class Stepper:
    """Everything a step needs but its data."""

    model: PageModel
    optimizer: torch.optim.Optimizer
    reduction: Reduction
    world: World
    autocast: Callable[[], AbstractContextManager[Any]]
    loss_scale: LossScale
    max_grad_norm: float

    def run(self, batches: Iterator[Batch], count: int, learning_rate: float, flags: Flags) -> StepOutcome:
        """Take `count` micro-batches, which may be none, and update the weights unless something is not finite."""
        self.reduction.zero()
        local = _Totals()
        for number in range(count):
            batch = self._take(batches, local)
            if number == count - 1:
                self.reduction.arm()
            self._accumulate(batch, local)
        norm = float(self.reduction.finish())
        totals = self._sum(local, norm, flags)
        outcome = self._conclude(totals, norm, local.waited_seconds)
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
        loss = compute_loss_sum(self.model, batch, self.autocast)
        (loss * self.loss_scale.scale).backward()  # type: ignore[no-untyped-call]
        local.loss = local.loss + loss.detach()
        local.label_tokens += len(batch.targets)
        local.samples += batch.samples
        local.pages += batch.pages if batch.samples else 0

    def _sum(self, local: "_Totals", norm: float, flags: Flags) -> list[float]:
        """The one small all-reduce of a step."""
        loss = float(local.loss)
        bad_loss, bad_norm = not math.isfinite(loss), not math.isfinite(norm)
        counts = [local.label_tokens, local.samples, local.pages, 0.0 if bad_loss else loss]
        return self.world.sum([float(value) for value in (*counts, bad_loss, bad_norm, flags.stop, flags.save)])

    def _conclude(self, totals: list[float], norm: float, waited: float) -> StepOutcome:
        tokens, samples, pages, loss, bad_loss, bad_norm, stop, save = totals
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
        """Gradients are sums so far: divide by the global number of label tokens and clip, at once."""
        clip = self.max_grad_norm / (outcome.grad_norm + 1e-6) if self.max_grad_norm else 1.0
        self.reduction.scale(min(1.0, clip) / (outcome.label_tokens * self.loss_scale.scale))
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()


@dataclass
class _Totals:
    """Of this rank in this step. loss: a tensor once there was a batch, so that nothing waits for the device."""

    loss: torch.Tensor | float = 0.0
    label_tokens: int = 0
    samples: int = 0
    pages: int = 0
    waited_seconds: float = 0.0
