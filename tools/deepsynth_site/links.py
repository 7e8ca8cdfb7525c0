"""Links of the repository as links of the site.

A page of docs/ may link to any file of the repository, so that links work where people read the repository. The site
has the files of docs/ at its root, and next to them those that pages link to: `examples/lora.yaml`, `CHANGELOG.md`.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

DOCS: Final = "docs/"
README: Final = "README.md"
README_PAGE: Final = "readme.md"
"""MkDocs takes a README.md for the index of its folder, which is docs/index.md."""

_LINK: Final = re.compile(r"(?P<image>!?)\[(?P<text>[^\]\n]*)\]\((?P<path>[^)#\s]+)(?P<fragment>#[^)\s]*)?\)")
_FENCE: Final = re.compile(r"(^ *```.*?^ *```[^\n]*$)", re.MULTILINE | re.DOTALL)
_TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)


def to_site(path: str) -> str:
    """Where a file of the repository is on the site: docs/tasks/stores.md -> tasks/stores.md."""
    return README_PAGE if path == README else path.removeprefix(DOCS)


def to_repository(place: str) -> str:
    """Where a page of the site comes from, among the files that docs/ does not have."""
    return README if place == README_PAGE else place


def list_linked(text: str, page: str) -> Iterator[str]:
    """Paths in the repository that a page links to. page: its own path in the repository."""
    for part in _FENCE.split(text)[::2]:
        for found in _LINK.finditer(part):
            if (path := resolve(found["path"], page)) is not None:
                yield path


def resolve(link: str, page: str) -> str | None:
    """The path in the repository, or None for an address."""
    if re.match(r"[a-z]+:", link):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def rewrite(text: str, page: str, root: Path) -> str:
    """The page with its links as the site needs them.

    A link whose text is the name of a page shows the title of that page. Folders are not pages: the names stay as text.
    """

    def replace(found: re.Match[str]) -> str:
        path = resolve(found["path"], page)
        if path is None:
            return found[0]
        if (root / path).is_dir():
            return found["text"]
        target = posixpath.relpath(to_site(path), posixpath.dirname(to_site(page)) or ".")
        shown = read_title(root / path) if is_name(found["text"], path) else found["text"]
        return f"{found['image']}[{shown}]({target}{found['fragment'] or ''})"

    return _outside_code(text, lambda part: _LINK.sub(replace, part))


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    parts = _FENCE.split(text)
    return "".join(part if index % 2 else change(part) for index, part in enumerate(parts))


def is_name(text: str, path: str) -> bool:
    """Whether the text of a link is only the name of the page that it leads to."""
    return path.endswith(".md") and path.endswith(text) and path != README


def read_title(path: Path) -> str:
    """The first heading of a page, or its name."""
    found = _TITLE.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found[1] if found else path.name
