"""What must hold for each page of the built site."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Final

_LOADING: Final = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
"""Tag -> the attribute that makes a browser load something."""

_PASSIVE: Final = {"canonical", "prev", "next", "alternate"}
"""Links of <head> that load nothing."""

_MARKDOWN: Final = re.compile(r"(?m)^\s*(?:[-*] |\d+\. |\||#{1,6} |```)|\]\(")
"""Lists and tables that need an empty line before them or more indentation, and links that are none."""


def find_faults(html: str) -> list[str]:
    """What is wrong with a page, as short sentences."""
    page = _Page()
    page.feed(html)
    return page.faults


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self._text: list[str] | None = None
        self._code = 0
        self._navigation = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.faults += _find_loads(tag, {name: value or "" for name, value in attrs})
        self._navigation += tag == "nav"
        if tag in {"p", "li"} and not self._navigation:
            self._text = []
        self._code += tag in {"code", "pre"}

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in {"code", "pre"}
        self._navigation -= tag == "nav"
        if tag in {"p", "li"} and self._text is not None:
            if found := _MARKDOWN.search(text := "".join(self._text)):
                self.faults.append(f"Markdown that was not rendered: {text[found.start() :][:80]!r}")
            self._text = None

    def handle_data(self, data: str) -> None:
        if self._text is not None and not self._code:
            self._text.append(data)


def _find_loads(tag: str, attributes: dict[str, str]) -> Iterator[str]:
    address = attributes.get(_LOADING.get(tag, ""), "")
    if re.match(r"(https?:)?//", address) and attributes.get("rel") not in _PASSIVE:
        yield f"loads {address}"
    if "mermaid" in attributes.get("class", "").split():
        yield "a drawing that a script from elsewhere would draw"
