"""What plan and render see of a source: splits of rows, in groups that can be read again."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

Row = tuple[str | None, str | None]
"""Text and summary as the source has them; None where there is none."""


@dataclass(frozen=True)
class RowGroup:
    """Rows that are read together.

    number: the row group's place in its parquet file; None where rows cannot be found again without reading all
    before them, so that the plan must keep their texts. size: rows in it, None where only reading tells.
    """

    file: str
    number: int | None
    size: int | None
    rows: Iterator[Row]


class TextSource(Protocol):
    """One revision of a source. Reading raises DataError for what is damaged or lacks a column."""

    @property
    def revision(self) -> str: ...

    @property
    def splits(self) -> Sequence[str]:
        """Names of the splits to read, at least one."""

    @property
    def language(self) -> str:
        """BCP 47 code where the source states a single one, else empty."""

    @property
    def license(self) -> str | None:
        """As the source's card states it."""

    def read(self, split: str) -> Generator[RowGroup, None, None]:
        """All groups of a split in order. A group's rows are to be used before the next group is asked for."""

    def read_again(self, file: str, number: int) -> Generator[Row, None, None]:
        """The rows of one group that read() named by file and number."""
