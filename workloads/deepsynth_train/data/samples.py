"""Samples by number: their labels and pages, and the names of their rows for messages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from PIL import Image

from deepsynth_api.errors import DataError, WorkloadError
from deepsynth_train.data.files.columns import LABEL_COLUMNS, Task
from deepsynth_train.data.files.images import read_page
from deepsynth_train.data.files.page_table import PageTable, RowNames
from deepsynth_train.data.selection.index import SampleIndex


class SampleSet:
    """The samples of an index, read from its page table by number. names: of the table's rows, for messages."""

    def __init__(self, table: PageTable, task: Task, index: SampleIndex, names: RowNames) -> None:
        self.index = index
        self._table = table
        self._task: Task = task
        self._names = names

    def __len__(self) -> int:
        return len(self.index)

    @property
    def label_column(self) -> str:
        return LABEL_COLUMNS[self._task]

    def read_label(self, sample: int) -> str:
        return str(self._table.read(int(self.index.first[sample]), self.label_column))

    def read_pages(self, sample: int) -> Sequence[bytes]:
        """Encoded images of the sample's pages, in order."""
        return [self._table.read_image(row, self._names.name(row)) for row in self._list_rows(sample)]

    def open_pages(self, sample: int) -> Sequence[Image.Image]:
        """The sample's pages as pictures in mode L or RGB. Raises DataError, naming the row, for a bad image."""
        rows = self._list_rows(sample)
        return [read_page(page, self._names.name(row)) for row, page in zip(rows, self.read_pages(sample), strict=True)]

    def _list_rows(self, sample: int) -> range:
        first = int(self.index.first[sample])
        return range(first, first + int(self.index.pages[sample]))

    def name(self, sample: int) -> str:
        """For messages: its dataset, rows and split, such as `spec.datasets[d]: rows 3 to 5 of the train split`."""
        rows = self._list_rows(sample)
        return self._names.name(rows.start, len(rows))


@contextmanager
def explain_sample_errors(where: str, column: str) -> Iterator[None]:
    """Turn errors of libraries about one sample into DataError with its name: another attempt would repeat them.

    Errors of memory and of the disk stay what they are.
    """
    try:
        yield
    except (WorkloadError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = f"{type(error).__name__}: {error}"[:500]
        raise DataError(f"{where}: cannot use column {column!r} ({text}); fix or remove the row") from error
