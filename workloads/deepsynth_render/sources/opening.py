"""From spec.source to a TextSource."""

from collections.abc import Generator, Sequence
from typing import Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import Columns, Source
from deepsynth_render.sources.card import find_language, parse_card
from deepsynth_render.sources.docstrings import SPLITS, DocstringSource
from deepsynth_render.sources.files import SourceFiles, open_files
from deepsynth_render.sources.interface import Row, RowGroup, TextSource
from deepsynth_render.sources.jsonl_and_csv import read_csv, read_jsonl
from deepsynth_render.sources.parquet import ParquetTexts
from deepsynth_render.sources.splits import SplitFiles, find_skipped, find_split_files
from deepsynth_store import README, OnWait

_DOCSTRINGS: Final = "docstrings://"


def open_source(source: Source, revision: str | None = None, on_wait: OnWait | None = None) -> TextSource:
    """Pin the source at `revision` (default: the one it names) and choose its configuration and splits.

    Raises ConfigurationError for an unknown configuration or split, DataError when there is nothing to read.
    """
    if source.uri == _DOCSTRINGS:
        return _open_docstrings(source)
    return FileSource(open_files(source.uri, revision or source.revision, on_wait), source)


def _open_docstrings(source: Source) -> DocstringSource:
    if unknown := [split for split in source.splits if split not in SPLITS]:
        raise ConfigurationError(f"spec.source.splits: no split {unknown[0]!r}; docstrings:// has {', '.join(SPLITS)}")
    return DocstringSource(splits=tuple(source.splits) or SPLITS)


class FileSource:
    """See TextSource. A Parquet file is read by row group; any other file is one group, whose texts the plan holds."""

    def __init__(self, files: SourceFiles, source: Source) -> None:
        self._files = files
        self._columns: Columns = source.columns
        paths = [file.path for file in files.list_files()]
        card = parse_card(files.read(README).decode(errors="replace") if README in paths else "")
        self._split_files: SplitFiles = find_split_files(paths, card.configs, source.config, source.splits)
        self.skipped = find_skipped(paths, self._split_files)
        self.language = find_language(card, source.config)
        self.license = card.license

    @property
    def revision(self) -> str:
        return self._files.revision

    @property
    def splits(self) -> Sequence[str]:
        return list(self._split_files)

    def read(self, split: str) -> Generator[RowGroup, None, None]:
        for path in self._split_files[split]:
            if path.endswith(".parquet"):
                yield from self._read_parquet(path)
            else:
                yield from self._read_lines(path)

    def read_again(self, file: str, number: int) -> Generator[Row, None, None]:
        with self._files.open(file) as opened:
            yield from ParquetTexts(opened, self._columns, self._name(file)).read(number)

    def _read_parquet(self, path: str) -> Generator[RowGroup, None, None]:
        with self._files.open(path) as file:
            texts = ParquetTexts(file, self._columns, self._name(path))
            for number, size in enumerate(texts.list_sizes()):
                yield RowGroup(path, number, size, texts.read(number))

    def _read_lines(self, path: str) -> Generator[RowGroup, None, None]:
        read = read_csv if path.endswith(".csv") else read_jsonl
        with self._files.open(path) as file:
            yield RowGroup(path, None, None, read(file, self._columns, self._name(path)))

    def _name(self, path: str) -> str:
        return f"{path} of {self._files.uri}"
