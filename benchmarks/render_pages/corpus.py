"""Documents of prose: the Debian Administrator's Handbook in languages of the Latin script (a Debian package), or the
docstrings of Python's standard library where that cannot be fetched.
"""

import itertools
import random
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from deepsynth_render.page.characters import normalise
from deepsynth_render.sources.docstrings import DocstringSource

PACKAGE: Final = "debian-handbook"
# The first four are the corpus "R1"; the others follow when more pages are asked for.
LANGUAGES: Final = (
    "en-US",
    "fr-FR",
    "es-ES",
    "de-DE",
    "it-IT",
    "pt-BR",
    "pl-PL",
    "nb-NO",
    "nl-NL",
    "sv-SE",
    "ro-RO",
    "tr-TR",
    "id-ID",
    "vi-VN",
)
WORDS: Final = (300, 900)
"""The shortest and the longest document, in words."""
_BLOCKS: Final = {"p", "li", "h1", "h2", "h3", "h4", "dt", "dd"}
_SKIPPED: Final = {"pre", "script", "style", "head"}


def build_documents(cache: Path, count: int) -> tuple[str, list[str]]:
    """A name for the corpus, and at most `count` documents."""
    folder = fetch_handbook(cache)
    name, paragraphs = (PACKAGE, _read_handbook(folder)) if folder else ("docstrings", _read_docstrings())
    return name, list(itertools.islice(_join(paragraphs), count))


def fetch_handbook(cache: Path) -> Path | None:
    """The folder with one folder of HTML per language; None where apt cannot fetch the package."""
    folder = cache / "usr/share/doc" / PACKAGE / "html"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["apt-get", "download", "-qq", PACKAGE], cwd=cache, check=True, capture_output=True)
            for package in cache.glob(f"{PACKAGE}_*.deb"):
                subprocess.run(["dpkg-deb", "--extract", package, cache], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            shutil.rmtree(cache)
    return folder if folder.is_dir() else None


def _join(paragraphs: Iterator[str]) -> Iterator[str]:
    """Paragraphs, each once, joined into documents as long as an article."""
    lengths = random.Random(1)
    wanted, words, parts, seen = lengths.randint(*WORDS), 0, [], set[str]()
    for paragraph in paragraphs:
        if paragraph in seen:
            continue
        seen.add(paragraph)
        parts.append(paragraph)
        words += len(paragraph.split())
        if words >= wanted:
            yield normalise("\n\n".join(parts))
            wanted, words, parts = lengths.randint(*WORDS), 0, []


def _read_handbook(folder: Path) -> Iterator[str]:
    for language in LANGUAGES:
        for path in sorted((folder / language).rglob("*.html")):
            parser = _Paragraphs()
            parser.feed(path.read_text(encoding="utf-8"))
            yield from (" ".join(text.split()) for text in parser.found if text.strip())


def _read_docstrings() -> Iterator[str]:
    for group in DocstringSource().read("train"):
        for text, summary in group.rows:
            yield from filter(None, [summary, text])


class _Paragraphs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found = [""]
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self._skipped += tag in _SKIPPED
        if tag in _BLOCKS:
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in _SKIPPED
        if tag in _BLOCKS:
            self.found.append("")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.found[-1] += data
