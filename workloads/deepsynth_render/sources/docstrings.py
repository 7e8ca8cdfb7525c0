"""docstrings://: text and summary pairs from the source of Python's standard library, which every machine has.

A docstring's first paragraph is the summary, the rest is the text. Modules are parsed, never imported.
"""

import ast
import hashlib
import sysconfig
from collections.abc import Generator, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final

from deepsynth_api.errors import ConfigurationError, InternalError
from deepsynth_api.v1alpha1.dataset_generation_status import ReadColumns, SkippedFiles
from deepsynth_render.sources.formats.row import Row
from deepsynth_render.sources.interface import RowGroup

SPLITS: Final = ("train", "validation")
LICENSE: Final = "other"
_VALIDATION_TENTHS: Final = 1
_SKIPPED: Final = frozenset({"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"})
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class DocstringSource:
    """See TextSource. revision: sha256 of the pairs, which differ from one version of Python to another."""

    language = "en"
    configs: Mapping[str, str] = MappingProxyType({})
    license = LICENSE
    skipped: tuple[SkippedFiles, ...] = ()
    columns: tuple[ReadColumns, ...] = ()

    def __init__(self, folder: Path | None = None, splits: tuple[str, ...] = SPLITS) -> None:
        self._folder = folder or Path(sysconfig.get_path("stdlib"))
        self.splits = splits

    @cached_property
    def revision(self) -> str:
        digest = hashlib.sha256()
        for text, summary in self._pairs:
            digest.update(f"{text}\0{summary}\0".encode(errors="surrogatepass"))
        return digest.hexdigest()

    def read(self, split: str, config: str | None = None) -> Generator[RowGroup, None, None]:  # noqa: ARG002
        rows: Iterator[Row] = (pair for pair in self._pairs if choose_split(pair[0]) == split)
        yield RowGroup(file="docstrings", number=None, size=None, rows=rows)

    def read_again(self, file: str, number: int) -> Generator[Row, None, None]:
        raise InternalError(f"{file} has no row group {number}; the plan must hold the texts of docstrings")

    @cached_property
    def _pairs(self) -> list[tuple[str, str]]:
        pairs = [pair for path in find_modules(self._folder) for pair in parse_pairs(path.read_bytes())]
        if not pairs:
            raise ConfigurationError(
                f"spec.source.uri: docstrings:// found no docstring in {self._folder}; "
                "use an image whose Python has the source of its standard library"
            )
        return pairs


def choose_split(text: str) -> str:
    """A tenth of all texts is for validation. The choice depends on the text only, so equal texts share a split."""
    first = hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8]
    return "validation" if int.from_bytes(first) % 10 < _VALIDATION_TENTHS else "train"


def find_modules(folder: Path) -> list[Path]:
    """The library's own modules, sorted by relative path."""
    paths = (path.relative_to(folder) for path in folder.rglob("*.py"))
    return [folder / path for path in sorted(paths, key=Path.as_posix) if not _SKIPPED.intersection(path.parts)]


def parse_pairs(source: bytes) -> list[tuple[str, str]]:
    """(text, summary) of each docstring that has both, sorted by line. Empty if the file is not valid Python."""
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError):  # the library holds templates and samples of bad syntax
        return []
    nodes = [node for node in ast.walk(module) if isinstance(node, _DOCUMENTED)]
    nodes.sort(key=lambda node: getattr(node, "lineno", 0))
    pairs = (split_docstring(ast.get_docstring(node) or "") for node in nodes)
    return [(text, summary) for text, summary in pairs if text and summary]


def split_docstring(docstring: str) -> tuple[str, str]:
    r"""(text, summary): the first paragraph, on one line, is the summary; the rest is the text.

    >>> split_docstring("First line\ngoes here.\n\nBody.")
    ('Body.', 'First line goes here.')
    """
    summary, _, text = docstring.strip().partition("\n\n")
    return text.strip(), " ".join(summary.split())
