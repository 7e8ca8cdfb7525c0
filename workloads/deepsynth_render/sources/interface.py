"""What the steps see of a source: splits of rows, in groups of which most can be read again on their own."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from deepsynth_api.v1alpha1.dataset_generation_status import ReadColumns, SkippedFiles
from deepsynth_render.sources.formats.row import Row


@dataclass(frozen=True)
class RowGroup:
    """Rows that are read together.

    number: index of the row group in its parquet file. None for other formats: their rows cannot be found again without
    reading all rows before them, so the plan must hold their texts. size: number of rows, None if not known in advance.
    """

    file: str
    number: int | None
    size: int | None
    rows: Iterator[Row]


class TextSource(Protocol):
    """One revision of a source. Reading raises DataError for damaged files, ConfigurationError for missing columns."""

    @property
    def revision(self) -> str: ...

    @property
    def splits(self) -> Sequence[str]:
        """Names of the splits to read, at least one."""

    @property
    def configs(self) -> Mapping[str, str]:
        """Configurations that are read one after the other -> language. Empty unless spec.source.configs is set."""

    @property
    def skipped(self) -> Sequence[SkippedFiles]:
        """The files that were not read so far, by reason."""

    @property
    def columns(self) -> Sequence[ReadColumns]:
        """Which columns were read so far, and for how many rows. Empty where there are no columns."""

    @property
    def language(self) -> str:
        """BCP 47 code if the source states exactly one, otherwise empty."""

    @property
    def license(self) -> str | None:
        """From the source's card."""

    def read(self, split: str, config: str | None = None) -> Generator[RowGroup, None, None]:
        """All groups of a split in order. Use a group's rows before asking for the next group.

        config: one of `configs`, if there are any; it may lack the split.
        """

    def read_again(self, file: str, number: int) -> Generator[Row, None, None]:
        """The rows of one group, by the file and number that read() gave."""
