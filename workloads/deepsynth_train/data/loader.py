"""Micro-batches, made ahead of the loop by threads: decoding images releases the interpreter lock.

Threads share the memory maps, so nothing is copied between processes. Checkpoints need no
state of the loader either: the next batch is a function of the step.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from PIL import Image

from deepsynth_train.data.samples import SampleSet, explain_sample_errors
from deepsynth_train.models.interface.page_model import Batch, PageModel, Prompt, Sample

T = TypeVar("T")
R = TypeVar("R")


class BatchMaker:
    """Reads, decodes, tokenises and collates samples. pin: batches are for a GPU, so put them in pinned memory."""

    def __init__(self, samples: SampleSet, model: PageModel, *, pin: bool = False) -> None:
        self.samples = samples
        self.model = model
        self._pin = pin

    def read_sample(self, number: int, pages_of: int | None = None, *, black: bool = False) -> Sample:
        """pages_of: another sample, whose pages replace its own. black: show black pages of the same size."""
        shown = number if pages_of is None else pages_of
        with explain_sample_errors(self.samples.name(shown), "image"):
            if self.model.vision is None or black:
                prompt = self._build_prompt(shown, black=black)
            else:
                contents = self.samples.read_pages(shown)
                prompt = self.model.vision.read_prompt(contents, lambda: self._build_prompt(shown, black=False))
        with explain_sample_errors(self.samples.name(number), self.samples.label_column):
            label = self.model.encode_label(self.samples.read_label(number))
        return Sample(prompt, label)

    def _build_prompt(self, number: int, *, black: bool) -> Prompt:
        pages = self.samples.open_pages(number)
        if black:
            pages = [Image.new("L", page.size) for page in pages]
        return self.model.family.build_prompt(pages)

    def make_batch(self, numbers: Sequence[int]) -> Batch:
        return self._collate([self.read_sample(number) for number in numbers])

    def make_swapped_batch(self, numbers: Sequence[int], pages_of: Sequence[int], context_tokens: int) -> Batch:
        """The labels of `numbers` with the pages of `pages_of`, and their number of positions.

        Without samples that are longer than `context_tokens` with these pages; a filler if none is left.
        """
        pairs = zip(numbers, pages_of, strict=True)
        samples = [self.read_sample(number, other) for number, other in pairs]
        fitting = [sample for sample in samples if sample.tokens <= context_tokens]
        return self._collate(fitting) if fitting else self.make_filler()

    def make_black_batch(self, numbers: Sequence[int]) -> Batch:
        return self._collate([self.read_sample(number, black=True) for number in numbers])

    def make_filler(self) -> Batch:
        """A batch without label tokens, for a rank that must run a forward pass but has no sample left."""
        return self.make_batch([0]).empty()

    def _collate(self, samples: Sequence[Sample]) -> Batch:
        batch = self.model.collate(samples)
        return batch.pin() if self._pin else batch


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
