"""What the model writes for a page: greedy decoding, in batches that are shared out over the ranks.

    samples sorted by length     3  0 | 7  1 | 2  5 | 4        batches of 2 pages, the same on any number of ranks
    rank 0                       3  0 |      | 2  5 |
    rank 1                              7  1 |      | 4

So the text of a sample depends neither on the number of ranks nor, up to rounding, on the size of the batches.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deepsynth_train.coordination.world import World
from deepsynth_train.data.loader import BatchMaker, prefetch
from deepsynth_train.data.sampler import sort_by_length
from deepsynth_train.models.interface.page_model import PageModel, Sample
from deepsynth_train.optimization.precision import keep_expert_casts

Chunk = Sequence[int]

TOKENS_PER_BEAT = 16
"""A heartbeat every so often: a batch of long texts can take minutes."""


@dataclass(frozen=True)
class Generator:
    """Called by all ranks together.

    batch_pages: upper limit for the pages of a batch; a longer document is a batch of its own. in_step: every forward
    pass is a collective (FSDP), so all ranks must run equally many. threads: number that decode pages.
    """

    maker: BatchMaker
    world: World
    autocast: Callable[[], AbstractContextManager[Any]]
    beat: Callable[[], None]
    max_new_tokens: int
    batch_pages: int
    in_step: bool
    threads: int

    def write(self, numbers: Sequence[int]) -> dict[int, str]:
        """The text that the model writes for each sample, on every rank."""
        mine: dict[int, str] = {}
        with nullcontext() if self.in_step else keep_expert_casts(self.maker.model.module):
            for chunk, samples in prefetch(self._share_out(numbers), self._read, self.threads):
                texts = self._generate(samples)
                mine |= dict(zip(chunk, texts, strict=False))  # a filler has one sample and no number
                self.beat()
        return {number: text for part in self.world.gather(mine) for number, text in part.items()}

    def _share_out(self, numbers: Sequence[int]) -> list[Chunk]:
        """Batches of this rank; when in step, with empty ones at the end, so that all ranks have equally many."""
        index = self.maker.samples.index
        ordered = sort_by_length(np.asarray(numbers, dtype=np.int64), index.tokens)
        chunks = chunk_by_pages(ordered.tolist(), index.pages[ordered].tolist(), self.batch_pages)
        mine = chunks[self.world.rank :: self.world.size]
        rounds = math.ceil(len(chunks) / self.world.size)
        return mine + [[]] * (rounds - len(mine)) if self.in_step else mine

    def _read(self, chunk: Chunk) -> tuple[Chunk, list[Sample]]:
        return chunk, [self.maker.read_sample(number) for number in chunk or [0]]

    def _generate(self, samples: Sequence[Sample]) -> list[str]:
        model = self.maker.model
        inputs = model.prepare(model.collate_prompts(samples).to(self.world.device))
        prompt = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0  # a decoder repeats its prompt
        with self.autocast(), torch.compiler.set_stance("force_eager"):
            ids = model.module.generate(  # (B, T)
                **inputs,
                max_new_tokens=max(1, min(self.max_new_tokens, model.family.context_tokens - prompt - 1)),
                do_sample=False,
                num_beams=1,
                use_cache=True,
                synced_gpus=self.in_step and self.world.size > 1,
                stopping_criteria=[_Beat(self.beat)],
            )
        return decode_texts(model, ids[:, prompt:])


class _Beat:
    """A stopping criterion of `generate` that never stops it."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._tokens = 0

    def __call__(self, input_ids: torch.Tensor, _scores: Any, **_: Any) -> torch.Tensor:
        self._tokens += 1
        if self._tokens % TOKENS_PER_BEAT == 0:
            self._beat()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def decode_texts(model: PageModel, ids: torch.Tensor) -> list[str]:
    """Token ids (B, T) to texts, each up to its end-of-text token."""
    return [str(text) for text in model.tokenizer.batch_decode(ids, skip_special_tokens=True)]


def chunk_by_pages(numbers: Sequence[int], pages: Sequence[int], limit: int) -> list[Chunk]:
    """Consecutive pieces of at most `limit` pages, or of one sample with more.

    Samples 4, 2, 9 with 1, 2, 5 pages and a limit of 3: [[4, 2], [9]].
    """
    chunks: list[list[int]] = []
    room = 0
    for number, count in zip(numbers, pages, strict=True):
        if not chunks or count > room:
            chunks.append([])
            room = limit
        chunks[-1].append(number)
        room -= count
    return list(chunks)
