"""Evaluation on the validation split. The model only ever sees the pages, never their text."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepsynth_api.v1alpha1 import EvaluationSettings
from deepsynth_train.coordination.progress import Progress, WrittenSample
from deepsynth_train.coordination.world import World
from deepsynth_train.data.loader import BatchMaker, prefetch
from deepsynth_train.data.sampler import sort_by_length
from deepsynth_train.evaluation.generation import Chunk, Generator
from deepsynth_train.evaluation.ranking import LOSS
from deepsynth_train.evaluation.sample_files import write_samples
from deepsynth_train.evaluation.text_metrics import NAMES, Pair, compute_text_metrics
from deepsynth_train.models.interface.page_model import Batch
from deepsynth_train.optimization.loss import compute_loss_sum

SWAPPED = "validation_loss_swapped"
BLACK = "validation_loss_black"

MakeBatch = Callable[[Chunk], Batch]


@dataclass(frozen=True)
class Findings:
    """Of one evaluation; the same on every rank. values: by metric. samples: what the model wrote, to show."""

    values: dict[str, float]
    samples: Sequence[WrittenSample]


@dataclass(frozen=True)
class Evaluator:
    """Called by all ranks together; each takes a share of the samples.

    equal_batches: all ranks must run the same number of forward passes (FSDP). threads: number that decode pages.
    folder: where samples to show are written, None for nowhere.
    """

    maker: BatchMaker
    world: World
    autocast: Callable[[], AbstractContextManager[Any]]
    progress: Progress
    settings: EvaluationSettings
    micro_batch_size: int
    equal_batches: bool
    threads: int
    folder: Path | None = None

    @property
    def samples(self) -> int:
        return min(len(self.maker.samples), self.settings.max_samples)

    def evaluate(self, step: int, *, black: bool) -> Findings:
        """Compute the metrics of spec.evaluation, and write the text of spec.evaluation.samples samples.

        black: also compute the loss with black pages. step: for the names of files.
        """
        with _inference(self.maker.model.module):
            values = self._compute_losses(black=black)
            pairs = self._write_texts()
        if any(metric in NAMES for metric in self.settings.metrics):
            values |= compute_text_metrics(self.settings.metrics, [pairs[number] for number in sorted(pairs)])
        shown = [
            WrittenSample(number, self.maker.samples.name(number), pairs[number].reference, pairs[number].written)
            for number in self._choose_shown()
        ]
        if self.folder and self.world.is_first and shown:
            self._save(self.folder, step, shown)
        return Findings(values, shown)

    def _compute_losses(self, *, black: bool) -> dict[str, float]:
        """Loss per label token: with the right pages, with those of another document and, if `black`, with black pages.

        If the first two are close, the model does not use its pages.
        """
        losses = {LOSS: self._compute_loss(self.maker.make_batch)}
        if self.samples > 1:
            losses[SWAPPED] = self._compute_loss(self._make_swapped)
        if black:
            losses[BLACK] = self._compute_loss(self.maker.make_black_batch)
        return losses

    def _write_texts(self) -> dict[int, Pair]:
        """Of all samples if a metric needs them, else of those to show."""
        needs_all = any(metric in NAMES for metric in self.settings.metrics)
        numbers = range(self.samples) if needs_all else self._choose_shown()
        generator = Generator(
            maker=self.maker,
            world=self.world,
            autocast=self.autocast,
            beat=self.progress.beat,
            max_new_tokens=self.settings.max_new_tokens,
            batch_pages=self.settings.generation_batch_size,
            in_step=self.equal_batches,
            threads=self.threads,
        )
        written = generator.write(numbers) if numbers else {}
        return {number: Pair(written[number], self.maker.samples.read_label(number)) for number in numbers}

    def _choose_shown(self) -> Sequence[int]:
        """Numbers of the samples to show, spread over the evaluated ones: the same in every evaluation."""
        count = min(self.settings.samples, self.samples)
        return [index * self.samples // count for index in range(count)]

    def _save(self, folder: Path, step: int, shown: Sequence[WrittenSample]) -> None:
        """A disk that is full costs a note here; the checkpoints will say more."""
        try:
            write_samples(folder, step, shown, self.maker.samples.read_pages)
        except OSError as error:
            self.progress.note(f"the samples of step {step} are not in {folder}: {error.strerror or error}")

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
