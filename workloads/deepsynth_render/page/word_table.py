"""From words to their pieces: the compiled table, or a dict that does the same."""

import numpy as np

from deepsynth_render.page.compiled.loading import IS_BUILT, core
from deepsynth_render.page.growing import Ints, expand_ranges


class PythonTable:
    """The same as core.WordTable."""

    def __init__(self) -> None:
        self._ranges: dict[str, tuple[int, int]] = {}  # word -> its first piece, their number

    def add(self, word: str, first: int, count: int) -> None:
        self._ranges[word] = first, count

    def add_all(self, words: list[str], first: int, counts: Ints) -> None:
        for word, count in zip(words, counts.tolist(), strict=True):
            self.add(word, first, count)
            first += count

    def find(self, text: str) -> tuple[bytes, list[str]]:
        rows, _, unknown = self.find_words(text.replace("\n", " \n ").split(" "))
        return rows, unknown

    def find_words(self, words: list[str]) -> tuple[bytes, bytes, list[str]]:
        unknown = [word for word in words if word not in self._ranges]
        ranges = np.array([self._ranges.get(word, (0, 0)) for word in words], np.int64).reshape(-1, 2)
        return expand_ranges(ranges[:, 0], ranges[:, 1]).tobytes(), ranges[:, 1].tobytes(), unknown

    def __len__(self) -> int:
        return len(self._ranges)


def build_table() -> "core.WordTable | PythonTable":
    """An empty table."""
    return core.WordTable() if IS_BUILT else PythonTable()
