"""Documents of prose: the Debian Administrator's Handbook in languages of the Latin script (a Debian package), or the
docstrings of Python's standard library where that cannot be fetched. Of other scripts: the handbook, and the messages
of a mail program in languages that the handbook lacks.
"""

import gettext
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
MESSAGES: Final = "evolution-common"
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
_OTHER_SCRIPTS: Final = ("ar-MA", "zh-CN", "ja-JP")
_MESSAGE_LANGUAGES: Final = ("hi", "th")
_EMOJI: Final = (
    "\U0001f600",
    "\U0001f44d\U0001f3fd",
    "\U0001f469\u200d\U0001f4bb",
    "\u2764\ufe0f",
    "\U0001f1eb\U0001f1f7",
)
_MIXED_CHARACTERS: Final = (1500, 4500)
_BLOCKS: Final = {"p", "li", "h1", "h2", "h3", "h4", "dt", "dd"}
_SKIPPED: Final = {"pre", "script", "style", "head"}


def build_documents(cache: Path, count: int) -> tuple[str, list[str]]:
    """A name for the corpus, and at most `count` documents."""
    folder = fetch_handbook(cache)
    name, paragraphs = (PACKAGE, _read_handbook(folder)) if folder else ("docstrings", _read_docstrings())
    return name, list(itertools.islice(_join(paragraphs), count))


def build_mixed(cache: Path, count: int) -> list[str]:
    """At most `count` documents, in turn Arabic, Chinese, Japanese, Hindi and Thai, with an emoji in every second
    paragraph; none where apt cannot fetch the packages.
    """
    handbook, messages = fetch_handbook(cache), _fetch(cache, MESSAGES, "usr/share/locale")
    if not (handbook and messages):
        return []
    texts = [
        *(_read_language(handbook, language) for language in _OTHER_SCRIPTS),
        *(_read_messages(messages / language / "LC_MESSAGES/evolution.mo") for language in _MESSAGE_LANGUAGES),
    ]
    languages = [list(_join_characters(filter(_is_translated, paragraphs))) for paragraphs in texts]
    # Some languages have less text than others, so theirs is drawn several times.
    rounds = (documents[number % len(documents)] for number in itertools.count() for documents in languages)
    return list(itertools.islice(rounds, count))


def fetch_handbook(cache: Path) -> Path | None:
    """The folder with one folder of HTML per language; None where apt cannot fetch the package."""
    return _fetch(cache, PACKAGE, f"usr/share/doc/{PACKAGE}/html")


def _fetch(cache: Path, package: str, path: str) -> Path | None:
    folder = cache / path
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["apt-get", "download", "-qq", package], cwd=cache, check=True, capture_output=True)
            for file in cache.glob(f"{package}_*.deb"):
                subprocess.run(["dpkg-deb", "--extract", file, cache], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            shutil.rmtree(folder, ignore_errors=True)
    return folder if folder.is_dir() else None


def _join_characters(paragraphs: Iterator[str]) -> Iterator[str]:
    lengths, emoji = random.Random(2), itertools.cycle(_EMOJI)
    wanted, parts = lengths.randint(*_MIXED_CHARACTERS), list[str]()
    for number, paragraph in enumerate(dict.fromkeys(paragraphs)):
        parts.append(f"{paragraph} {next(emoji)}" if number % 2 else paragraph)
        if sum(map(len, parts)) >= wanted:
            yield normalise("\n".join(parts))
            wanted, parts = lengths.randint(*_MIXED_CHARACTERS), []


def _is_translated(text: str) -> bool:
    """Whether most of a text is of another script than Latin."""
    return 2 * sum(character.isascii() for character in text) < len(text)


def _read_messages(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        catalog = gettext.GNUTranslations(file)
    known: dict[str, str] = catalog._catalog  # type: ignore[attr-defined]  # noqa: SLF001 - no method lists the messages
    return (text for key, text in known.items() if key and isinstance(text, str))


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
        yield from _read_language(folder, language)


def _read_language(folder: Path, language: str) -> Iterator[str]:
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
