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
from deepsynth_train.data.sampler import split_batch
from deepsynth_train.evaluation.rouge import compute_rouge_1, compute_rouge_l
from deepsynth_train.models.page_model import Batch
from deepsynth_train.optimization.loss import compute_loss_sum

LOSS = "validation_loss"
SWAPPED = "validation_loss_swapped"
BLACK = "validation_loss_black"
ROUGE_1 = "validation_rouge1"
ROUGE_L = "validation_rougeL"

Chunk = Sequence[int]
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
                losses[BLACK] = self._compute_loss(self._make_black)
        return losses

    def compute_rouge(self) -> dict[str, float]:
        """Mean ROUGE of the text generated greedily for each sample, at most max_new_tokens long."""
        scores = [0.0, 0.0, 0.0]
        with _inference(self.maker.model.module):
            for number in range(self.world.rank, self.samples, self.world.size):
                written, label = self._generate(number), self.maker.samples.read_label(number)
                found = [compute_rouge_1(written, label), compute_rouge_l(written, label), 1.0]
                scores = [total + score for total, score in zip(scores, found, strict=True)]
                self.progress.beat()
        rouge_1, rouge_l, count = self.world.sum(scores)
        return {ROUGE_1: rouge_1 / count, ROUGE_L: rouge_l / count}

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
        """Micro-batches of this rank, as sample numbers; with equal_batches, padded with empty ones."""
        tokens = np.asarray(self.maker.samples.index.tokens)
        mine = split_batch(np.arange(self.samples), tokens, self.world.rank, self.world.size)
        chunks: list[Chunk] = chunk(mine.tolist(), self.micro_batch_size)
        most = math.ceil(math.ceil(self.samples / self.world.size) / self.micro_batch_size)
        return chunks + [[]] * (most - len(chunks)) if self.equal_batches else chunks

    def _with_filler(self, make: MakeBatch) -> MakeBatch:
        return lambda numbers: make(numbers) if numbers else self.maker.make_filler()

    def _make_swapped(self, numbers: Chunk) -> Batch:
        """Pages of the sample half the set away: another document, even when a sample is one page."""
        distance = self.samples // 2
        return self.maker.make_swapped_batch(numbers, [(n + distance) % self.samples for n in numbers])

    def _make_black(self, numbers: Chunk) -> Batch:
        batch = self.maker.make_batch(numbers)
        batch.inputs["pixel_values"].zero_()
        return batch

    def _generate(self, number: int) -> str:
        model = self.maker.model
        prompt = model.family.build_prompt(self.maker.read_sample(number))
        inputs = {name: value.to(self.world.device) for name, value in prompt.items()}
        inputs["pixel_values"] = model.normalise_pixels(inputs["pixel_values"])
        skipped = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0  # a decoder repeats its prompt
        with self.autocast():
            # -> (1, T)
            ids = model.module.generate(**inputs, max_new_tokens=self.settings.max_new_tokens, do_sample=False)
        return str(model.tokenizer.decode(ids[0][skipped:], skip_special_tokens=True))


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
