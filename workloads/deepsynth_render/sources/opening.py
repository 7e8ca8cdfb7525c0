"""From spec.source to a TextSource."""

from collections.abc import Generator, Mapping, Sequence
from typing import Final

from deepsynth_api.errors import ConfigurationError, DataError, InternalError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Source
from deepsynth_api.v1alpha1.dataset_generation_status import ReadColumns, SkippedFiles
from deepsynth_render.sources.card import find_language, parse_card
from deepsynth_render.sources.docstrings import LICENSE, SPLITS, DocstringSource
from deepsynth_render.sources.files import SourceFiles, find_unlisted, open_files
from deepsynth_render.sources.formats import read_rows
from deepsynth_render.sources.formats.columns import ColumnChooser
from deepsynth_render.sources.formats.parquet import ParquetTexts
from deepsynth_render.sources.formats.row import Row
from deepsynth_render.sources.formats.suffixes import FileFormat, find_format
from deepsynth_render.sources.formats.unpack import explain_packing, unpack
from deepsynth_render.sources.interface import RowGroup, TextSource
from deepsynth_render.sources.splits import select_files
from deepsynth_store import README, OnWait
from deepsynth_store.core.file_listing import MAX_POINTER_BYTES, is_lfs_pointer

_DOCSTRINGS: Final = "docstrings://"
MAX_EXAMPLES: Final = 3
"""Paths that are named for each reason not to read files."""


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
    require_license([LICENSE], source.require_license, source.uri)
    return DocstringSource(splits=tuple(source.splits) or SPLITS)


class FileSource:
    """See TextSource. A Parquet file is read by row group; any other file is one group, whose texts the plan holds."""

    def __init__(self, files: SourceFiles, source: Source) -> None:
        self._files = files
        self._columns = source.columns
        self._opened: set[str] = set()
        self._sizes = {file.path: file.size for file in files.list_files()}
        paths = [*self._sizes]
        self._unlisted = find_unlisted(files.uri)
        if self._unlisted and not paths:
            raise DataError(_explain_no_files(files.uri, self._unlisted))
        card = parse_card(files.read(README).decode(errors="replace") if README in paths else "")
        require_license(card.licenses, source.require_license, files.uri)
        self._selection = select_files(paths, card.configs, source.config, source.splits, several=source.configs)
        self._choosers = {name: ColumnChooser(source.columns) for name in self._selection.configs}
        for found in self._selection.files.values():
            for path in found:
                _require_utf8(path)
        self.configs = {name: find_language(card, name) for name in self._selection.configs} if source.configs else {}
        languages = set(self.configs.values())
        self.language = languages.pop() if len(languages) == 1 else find_language(card, source.config)
        self.license = card.license

    @property
    def revision(self) -> str:
        return self._files.revision

    @property
    def splits(self) -> Sequence[str]:
        return list(self._selection.files)

    @property
    def skipped(self) -> Sequence[SkippedFiles]:
        files = [path for found in self._selection.files.values() for path in found]
        behind = {path: Reason.BEHIND_ROW_LIMIT for path in files if path not in self._opened}
        return list_skipped({**self._selection.skipped, **behind, **self._unlisted})

    @property
    def columns(self) -> Sequence[ReadColumns]:
        several = bool(self.configs)
        return [
            read.updated(config=name) if several else read
            for name, chooser in self._choosers.items()
            for read in chooser.list_read()
        ]

    def read(self, split: str, config: str | None = None) -> Generator[RowGroup, None, None]:
        name = next(iter(self._choosers)) if config is None else config
        chooser = self._choosers[name]
        for path in self._selection.configs[name].get(split, ()):
            self._opened.add(path)
            known = find_format(path)
            if known is None:
                raise InternalError(f"{path} was selected, but its format is unknown")
            if known.name == "parquet":
                yield from self._read_parquet(path, chooser)
            else:
                yield from self._read_stream(path, known, chooser)

    def read_again(self, file: str, number: int) -> Generator[Row, None, None]:
        with self._files.open(file) as opened:
            yield from ParquetTexts(opened, ColumnChooser(self._columns), self._name(file)).read(number)

    def _read_parquet(self, path: str, chooser: ColumnChooser) -> Generator[RowGroup, None, None]:
        self._require_content(path)
        with self._files.open(path) as file:
            texts = ParquetTexts(file, chooser, self._name(path))
            for number, size in enumerate(texts.list_sizes()):
                yield RowGroup(path, number, size, chooser.count(texts.read(number)))

    def _read_stream(self, path: str, known: FileFormat, chooser: ColumnChooser) -> Generator[RowGroup, None, None]:
        name = self._name(path)
        self._require_content(path)
        with self._files.open(path) as file:
            rows = read_rows(unpack(file, known.compression), known.name, chooser, name)
            yield RowGroup(path, None, None, chooser.count(explain_packing(rows, name)))

    def _require_content(self, path: str) -> None:
        """Only files that are small enough to be a pointer are looked at: on the Hub, each read is a request."""
        if self._sizes.get(path, 0) <= MAX_POINTER_BYTES and is_lfs_pointer(self._files.read(path)):
            raise DataError(
                f"{self._name(path)} is a pointer of Git LFS, not the file; run `git lfs pull` there",
                reason=Reason.DAMAGED_FILE,
            )

    def _name(self, path: str) -> str:
        return f"{path} of {self._files.uri}"


def _explain_no_files(uri: str, unlisted: Mapping[str, Reason]) -> str:
    counts = ", ".join(f"{entry.files} {entry.reason} such as {entry.examples[0]}" for entry in list_skipped(unlisted))
    return (
        f"spec.source.uri: {uri} has no file that is read ({counts}); links to folders are not followed, and names "
        "that begin with a dot are skipped: copy or rename the data, or name its folder"
    )


def _require_utf8(path: str) -> None:
    """Plans and datasets name the files they are made from."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"spec.source.uri: the name of the file {path!a} is not UTF-8; rename it") from error


def require_license(licenses: Sequence[str], allowed: Sequence[str], uri: str) -> None:
    """Raise ConfigurationError unless all licenses of a card are allowed, at least one; an empty list allows any."""
    wanted = {name.lower() for name in allowed}
    if not wanted or (licenses and {name.lower() for name in licenses} <= wanted):
        return
    found = f"has the license {', '.join(licenses)}" if licenses else "states no license"
    raise ConfigurationError(
        f"spec.source.requireLicense: must be one of {', '.join(allowed)}, but the card of {uri} {found}; use another "
        "source, or add the license once you have read it",
        reason=Reason.LICENSE_NOT_ALLOWED,
    )


def list_skipped(reasons: Mapping[str, Reason]) -> list[SkippedFiles]:
    """Files by reason, the most frequent one first, with a few of their paths. Bytes that are not UTF-8 are escaped."""
    paths: dict[Reason, list[str]] = {}
    for path, reason in reasons.items():
        paths.setdefault(reason, []).append(path.encode(errors="backslashreplace").decode())
    ordered = sorted(paths.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        SkippedFiles(reason=reason, files=len(found), examples=sorted(found)[:MAX_EXAMPLES])
        for reason, found in ordered
    ]
