"""Evaluation on the validation split. The model only ever sees the pages, never their text."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

from deepsynth_api.v1alpha1 import EvaluationSettings
from deepsynth_train.coordination.progress import Progress, WrittenSample
from deepsynth_train.coordination.world import World
from deepsynth_train.data.loader import BatchMaker, prefetch
from deepsynth_train.data.sampler import sort_by_length
from deepsynth_train.evaluation.choice import choose_samples
from deepsynth_train.evaluation.generation import Chunk, Generator
from deepsynth_train.evaluation.ranking import LOSS
from deepsynth_train.evaluation.sample_files import build_sample_files
from deepsynth_train.evaluation.text_metrics import CER, CER_SWAPPED, NAMES, Pair, compute_text_metrics
from deepsynth_train.models.interface.page_model import Batch
from deepsynth_train.optimization.loss import compute_loss_sum

SWAPPED = "validation_loss_swapped"
BLACK = "validation_loss_black"

MakeBatch = Callable[[Chunk], Batch]
KeepFiles = Callable[[Mapping[str, bytes]], None]
"""Takes content by name, relative to spec.checkpoint.uri."""


@dataclass(frozen=True)
class Findings:
    """Of one evaluation; the same on every rank. values: by metric. samples: what the model wrote, to show."""

    values: dict[str, float]
    samples: Sequence[WrittenSample]


@dataclass(frozen=True)
class Evaluator:
    """Called by all ranks together; each takes a share of the samples.

    equal_batches: all ranks must run the same number of forward passes (FSDP). threads: number that decode pages.
    context_tokens: upper limit for a sequence; a sample whose swapped pages exceed it is not measured with them.
    keep_files: takes the files of samples to show, in the background; None for none.
    """

    maker: BatchMaker
    world: World
    autocast: Callable[[], AbstractContextManager[Any]]
    progress: Progress
    settings: EvaluationSettings
    micro_batch_size: int
    equal_batches: bool
    threads: int
    context_tokens: int
    keep_files: KeepFiles | None = None
    _kept_pages: set[str] = field(default_factory=set)

    @cached_property
    def numbers(self) -> Sequence[int]:
        """The samples that are evaluated, ascending."""
        return choose_samples(self.maker.samples.index.sizes.tolist(), self.settings.max_samples)

    @cached_property
    def partners(self) -> Mapping[int, int]:
        """Whose pages replace those of each sample, when pages are swapped: those half the set away, which belong to
        another document even when a sample is one page. Empty for a single sample.
        """
        distance = len(self.numbers) // 2
        swapped = [*self.numbers[distance:], *self.numbers[:distance]]
        return dict(zip(self.numbers, swapped, strict=True)) if distance else {}

    def evaluate(self, step: int, *, black: bool) -> Findings:
        """Compute the metrics of spec.evaluation, and write the text of spec.evaluation.samples samples.

        black: also compute the loss with black pages. step: for the names of files.
        """
        with _inference(self.maker.model.module):
            values = self._compute_losses(black=black)
            pairs = self._write_texts()
        if any(metric in NAMES for metric in self.settings.metrics):
            values |= self._compare_texts(pairs)
        shown = [
            WrittenSample(number, self.maker.samples.name(number), pairs[number].reference, pairs[number].written)
            for number in self._choose_shown()
        ]
        if self.keep_files and self.world.is_first and shown:
            read_pages = self.maker.samples.read_pages
            files = build_sample_files(step, shown, read_pages, self._kept_pages)
            self._kept_pages.update(files)
            self.keep_files(files)
        return Findings(values, shown)

    def _compute_losses(self, *, black: bool) -> dict[str, float]:
        """Loss per label token: with the right pages, with those of another document and, if `black`, with black pages.

        If the first two are close, the model does not use its pages. The last is what it guesses without seeing any.
        """
        losses = {LOSS: self._compute_loss(self.maker.make_batch)}
        if self.partners:
            losses[SWAPPED] = self._compute_loss(self._make_swapped)
        if black:
            losses[BLACK] = self._compute_loss(self.maker.make_black_batch)
        return {name: loss for name, loss in losses.items() if loss is not None}

    def _compare_texts(self, pairs: Mapping[int, Pair]) -> dict[str, float]:
        """The metrics of texts. Swapped, a text is compared with the reference of another document: what the model
        writes depends on its pages alone, so that takes no further generation.
        """
        values = compute_text_metrics(self.settings.metrics, [pairs[number] for number in self.numbers])
        swapped = [Pair(pairs[other].written, pairs[number].reference) for number, other in self.partners.items()]
        if "cer" in self.settings.metrics and swapped:
            values[CER_SWAPPED] = compute_text_metrics(["cer"], swapped)[CER]
        return values

    def _write_texts(self) -> dict[int, Pair]:
        """Of all samples if a metric needs them, else of those to show."""
        needs_all = any(metric in NAMES for metric in self.settings.metrics)
        numbers = self.numbers if needs_all else self._choose_shown()
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
        count = min(self.settings.samples, len(self.numbers))
        return [self.numbers[index * len(self.numbers) // count] for index in range(count)]

    def _compute_loss(self, make: MakeBatch) -> float | None:
        """None if no batch has a label token."""
        total = torch.zeros((), dtype=torch.float64)
        tokens = 0
        for batch in prefetch(self._split(), self._with_filler(make), self.threads):
            moved = batch.to(self.world.device)
            total += compute_loss_sum(self.maker.model, moved, self.autocast).double().cpu()
            tokens += len(batch.targets)
            self.progress.beat()
        loss, count = self.world.sum([float(total), float(tokens)])
        return loss / count if count else None

    def _split(self) -> list[Chunk]:
        """Micro-batches of this rank, as sample numbers; with equal_batches, padded with empty ones.

        The micro-batches themselves are the same on any number of ranks, so the loss is as well.
        """
        tokens = np.asarray(self.maker.samples.index.tokens)
        chunks = chunk(sort_by_length(np.asarray(self.numbers), tokens).tolist(), self.micro_batch_size)
        mine = chunks[self.world.rank :: self.world.size]
        return mine + [[]] * (-(-len(chunks) // self.world.size) - len(mine)) if self.equal_batches else mine

    def _with_filler(self, make: MakeBatch) -> MakeBatch:
        return lambda numbers: make(numbers) if numbers else self.maker.make_filler()

    def _make_swapped(self, numbers: Chunk) -> Batch:
        pages_of = [self.partners[number] for number in numbers]
        return self.maker.make_swapped_batch(numbers, pages_of, self.context_tokens)


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
