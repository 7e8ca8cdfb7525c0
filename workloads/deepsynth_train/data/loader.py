"""Micro-batches, made ahead of the loop by threads: decoding images releases the interpreter lock.

Threads share the memory maps, so nothing is copied between processes. Checkpoints need no
state of the loader either: the next batch is a function of the step.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch

from deepsynth_train.data.images import decode_page
from deepsynth_train.data.samples import SampleSet
from deepsynth_train.models.page_model import Batch, PageModel, Sample

T = TypeVar("T")
R = TypeVar("R")


class BatchMaker:
    """Reads, decodes, tokenises and collates samples."""

    def __init__(self, samples: SampleSet, model: PageModel) -> None:
        self.samples = samples
        self.model = model

    def read_sample(self, number: int, pages_of: int | None = None) -> Sample:
        """pages_of: another sample, whose pages replace its own."""
        shown = number if pages_of is None else pages_of
        where = self.samples.name(shown)
        pages = [decode_page(page, self.model.image, where) for page in self.samples.read_pages(shown)]
        # pages: P arrays (3, S, S) -> (P, 3, S, S)
        return Sample(np.stack(pages), self.model.encode_label(self.samples.read_label(number)))

    def make_batch(self, numbers: Sequence[int]) -> Batch:
        return self.model.family.collate([self.read_sample(number) for number in numbers])

    def make_swapped_batch(self, numbers: Sequence[int], pages_of: Sequence[int]) -> Batch:
        """The labels of `numbers` with the pages of `pages_of`."""
        pairs = zip(numbers, pages_of, strict=True)
        return self.model.family.collate([self.read_sample(number, other) for number, other in pairs])

    def make_filler(self) -> Batch:
        """A batch without label tokens, for a rank that must run a forward pass but has no sample left."""
        batch = self.make_batch([0])
        return replace(batch, rows=torch.zeros_like(batch.rows), targets=batch.targets[:0], samples=0)  # targets: (0,)


def prefetch(tasks: Iterable[T], work: Callable[[T], R], threads: int) -> Iterator[R]:
    """Results of `work` in the order of `tasks`, at most 2 * threads ahead of the reader.

    If `work` raises for a task, the error is raised in place of its result.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="pages") as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(work, task))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
