"""Evaluation on the validation split. The model only ever sees the pages, never their text."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deepsynth_api.v1alpha1 import EvaluationSettings
from deepsynth_train.coordination.progress import Progress
from deepsynth_train.coordination.world import World
from deepsynth_train.data.loader import BatchMaker, prefetch
from deepsynth_train.data.sampler import sort_by_length
from deepsynth_train.evaluation.generation import Chunk, Generator
from deepsynth_train.evaluation.rouge import compute_rouge_1, compute_rouge_l
from deepsynth_train.models.page_model import Batch
from deepsynth_train.optimization.loss import compute_loss_sum

LOSS = "validation_loss"
SWAPPED = "validation_loss_swapped"
BLACK = "validation_loss_black"
ROUGE_1 = "validation_rouge1"
ROUGE_L = "validation_rougeL"

MakeBatch = Callable[[Chunk], Batch]


@dataclass(frozen=True)
class Evaluator:
    """Called by all ranks together; each takes a share of the samples.

    equal_batches: all ranks must run the same number of forward passes (FSDP). threads: number that decode pages.
    """

    maker: BatchMaker
    world: World
    autocast: Callable[[], AbstractContextManager[Any]]
    progress: Progress
    settings: EvaluationSettings
    micro_batch_size: int
    equal_batches: bool
    threads: int

    @property
    def samples(self) -> int:
        return min(len(self.maker.samples), self.settings.max_samples)

    def compute_losses(self, *, black: bool) -> dict[str, float]:
        """Loss per label token: with the right pages, with those of another document and, if `black`, with black pages.

        If the first two are close, the model does not use its pages.
        """
        with _inference(self.maker.model.module):
            losses = {LOSS: self._compute_loss(self.maker.make_batch)}
            if self.samples > 1:
                losses[SWAPPED] = self._compute_loss(self._make_swapped)
            if black:
                losses[BLACK] = self._compute_loss(self.maker.make_black_batch)
        return losses

    def compute_rouge(self) -> dict[str, float]:
        """Mean ROUGE of the text generated greedily for each sample, at most max_new_tokens long."""
        with _inference(self.maker.model.module):
            written = self._generator.write(range(self.samples))
        labels = [self.maker.samples.read_label(number) for number in range(self.samples)]
        pairs = [(written[number], label) for number, label in enumerate(labels)]
        return {
            ROUGE_1: sum(compute_rouge_1(*pair) for pair in pairs) / len(pairs),
            ROUGE_L: sum(compute_rouge_l(*pair) for pair in pairs) / len(pairs),
        }

    @property
    def _generator(self) -> Generator:
        return Generator(
            maker=self.maker,
            world=self.world,
            autocast=self.autocast,
            beat=self.progress.beat,
            max_new_tokens=self.settings.max_new_tokens,
            batch_pages=self.settings.generation_batch_size,
            in_step=self.equal_batches,
            threads=self.threads,
        )

    def _compute_loss(self, make: MakeBatch) -> float:
        total = torch.zeros((), dtype=torch.float64)
        tokens = 0
        for batch in prefetch(self._split(), self._with_filler(make), self.threads):
            moved = batch.to(self.world.device)
            total += compute_loss_sum(self.maker.model, moved, self.autocast).double().cpu()
            tokens += len(batch.targets)
            self.progress.beat()
        loss, count = self.world.sum([float(total), float(tokens)])
        return loss / count if count else math.nan

    def _split(self) -> list[Chunk]:
        """Micro-batches of this rank, as sample numbers; with equal_batches, padded with empty ones.

        The micro-batches themselves are the same on any number of ranks, so the loss is as well.
        """
        tokens = np.asarray(self.maker.samples.index.tokens)
        chunks = chunk(sort_by_length(np.arange(self.samples), tokens).tolist(), self.micro_batch_size)
        mine = chunks[self.world.rank :: self.world.size]
        return mine + [[]] * (-(-len(chunks) // self.world.size) - len(mine)) if self.equal_batches else mine

    def _with_filler(self, make: MakeBatch) -> MakeBatch:
        return lambda numbers: make(numbers) if numbers else self.maker.make_filler()

    def _make_swapped(self, numbers: Chunk) -> Batch:
        """Pages of the sample half the set away: another document, even when a sample is one page."""
        distance = self.samples // 2
        return self.maker.make_swapped_batch(numbers, [(n + distance) % self.samples for n in numbers])


@contextmanager
def _inference(module: torch.nn.Module) -> Iterator[None]:
    """No gradients and no dropout inside; restores the training mode."""
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was_training)


def chunk(numbers: Sequence[int], size: int) -> list[Chunk]:
    """Consecutive pieces of at most `size`."""
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]
