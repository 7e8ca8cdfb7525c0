"""Markdown to blocks, by pulldown-cmark: CommonMark with the tables, strikethrough and task lists of GitHub.

pulldown-cmark gives the place in the source of each piece of text, and takes linear time on hostile input. Characters
are taken from the source and not from its events, so entities such as &amp; are drawn as they are written. What it
gives no event for, such as the definition of a link, is drawn as source.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pyromark

from deepsynth_api.reasons import Reason
from deepsynth_render.page.markdown.blocks import BOLD, CODE, PLAIN, Block, Container, Content, Look, Marker, Row
from deepsynth_render.reporting.dropped import RefusedDocument

_OPTIONS: Final = (
    pyromark.Options.ENABLE_TABLES
    | pyromark.Options.ENABLE_STRIKETHROUGH
    | pyromark.Options.ENABLE_TASKLISTS
    | pyromark.Options.ENABLE_YAML_STYLE_METADATA_BLOCKS
)
_BULLET: Final = "\u2022"
_MARKER = re.compile(r" *(?:[-+*]|(\d{1,9}[.)]))")
_CONTAINER_MARKS = re.compile(r"(?:[ >]|[-+*](?: |$)|\d{1,9}[.)](?: |$))*(?:\[[ xX]\] ?$)?")
_LINE_END = re.compile(r"\n[ >]*")
_FENCE = re.compile(r"(`{3,}|~{3,})[ ]*([^\n]*)")
_LINK_TAIL = re.compile(r"\s*\](?=[(\[])(?!\[\]$)", re.DOTALL)
_INLINE: Final = {
    "Emphasis": {"italic": True},
    "Strong": {"bold": True},
    "Strikethrough": {"struck": True},
    "Link": {"linked": True},
}
_SHOWN_AS_SOURCE: Final = frozenset({"StartImage", "StartMetadataBlock"})
_ALIGNMENTS: Final = {"Center": 1, "Right": 2}


def parse(source: str, max_rows: int) -> list[Block]:
    """The blocks of a normalised text, in order. All its letters and digits are in one of them, once.

    Raises RefusedDocument for a table of more than max_rows, before it fills the memory.
    """
    return _Parser(source, max_rows).parse()


def _read_events(source: str) -> Iterator[tuple[str, Any, int, int]]:
    """Name, value, start and end of each event; "Start" and "End" are part of the name."""
    find = _build_index(source)
    name: str
    value: Any
    events: Any = pyromark.events_with_range(source, options=_OPTIONS)
    for event, span in events:  # an event is a name, or a dict of a name and a value
        name, value = (event, None) if isinstance(event, str) else next(iter(event.items()))
        if name in {"Start", "End"}:
            tag, value = (value, None) if isinstance(value, str) else next(iter(value.items()))
            name += tag
        yield name, value, find(span["start"]), find(span["end"])


def _build_index(source: str) -> Callable[[int], int]:
    """From the index of a byte in UTF-8 to that of its character."""
    if source.isascii():
        return int
    first = (np.frombuffer(source.encode(), np.uint8) & 0xC0) != 0x80
    index: list[int] = np.append(np.cumsum(first) - first, len(source)).tolist()
    return index.__getitem__


class _Parser:
    def __init__(self, source: str, max_rows: int) -> None:
        self._source = source
        self._max_rows = max_rows
        self._blocks: list[Block] = []
        self._containers: list[Container] = []
        self._markers: list[Marker] = []  # of items that have no block yet
        self._block: Block | None = None
        self._content = Content()  # of the block, or of a cell of the table
        self._looks = [PLAIN]
        self._seen = 0  # end of the inline event before
        self._ended = 0  # end of the block before
        self._covered = 0  # end of what is drawn or only marks a container
        self._hidden = 0  # images and metadata that are open: their source is drawn, so their events are not
        self._is_cut = False  # whether the table has cells that its head does not have

    def parse(self) -> list[Block]:
        for name, value, start, end in _read_events(self._source):
            if name in _SHOWN_AS_SOURCE:
                if not self._hidden:
                    self._add_source(name, start, end)
                self._hidden += 1
            elif name.removeprefix("End") != name and f"Start{name[3:]}" in _SHOWN_AS_SOURCE:
                self._hidden -= 1
            elif self._hidden:
                continue
            elif handler := getattr(self, f"_on_{name.lower()}", None):
                handler(value, start, end)
            elif name.startswith("Start") and name[5:] in _INLINE:
                self._on_inline(name[5:], start)
            elif name.startswith("End") and name[3:] in _INLINE:
                self._end_inline(name[3:], start, end)
        self._close(self._seen)
        self._show_gap(len(self._source))
        return self._blocks

    # Blocks

    def _open(self, kind: Any, start: int, *, tight: bool = False, level: int = 0) -> Block:
        self._show_gap(start)
        line = max(self._ended, self._source.rfind("\n", 0, start) + 1)
        self._content = Content()
        self._block = Block(kind, line, self._content, tuple(self._containers), self._markers, tight=tight, level=level)
        self._blocks.append(self._block)
        self._markers = []
        self._seen = start
        return self._block

    def _close(self, end: int) -> None:
        if self._block is not None:
            if self._block.kind == "code":
                self._block.content.cut(len(self._block.content.text.rstrip("\n")))
            self._block = None
            self._covered = self._ended = max(self._covered, end)

    def _show_gap(self, end: int) -> None:
        """Draw what lies between two blocks as source, unless it is only the marks of containers."""
        start = self._covered
        self._covered = max(start, end)
        for line in re.finditer(r"[^\n]+", self._source[start:end]):
            marks = _CONTAINER_MARKS.match(line[0])
            first = marks.end() if marks else 0
            if line[0][first:].strip(" "):
                content = Content()
                content.add(line[0][first:], start + line.start() + first, CODE)
                self._blocks.append(
                    Block(
                        "code",
                        max(self._ended, start + line.start()),
                        content,
                        tuple(self._containers),
                        self._markers,
                        tight=True,
                    )
                )
                self._markers = []
                self._ended = start + line.end()

    def _on_startparagraph(self, _value: None, start: int, _end: int) -> None:
        if self._block is not None:
            self._close(self._seen)
        self._open("paragraph", start)

    def _on_endparagraph(self, _value: None, _start: int, end: int) -> None:
        self._close(end)

    def _on_startheading(self, value: Any, start: int, _end: int) -> None:
        self._close(self._seen)
        self._open("heading", start, level=int(value["level"][1:]))
        self._looks = [BOLD]

    def _on_endheading(self, _value: Any, _start: int, end: int) -> None:
        self._looks = [PLAIN]
        self._close(end)

    def _on_rule(self, _value: None, start: int, end: int) -> None:
        self._close(self._seen)
        self._open("rule", start)
        self._close(end)

    def _on_startcodeblock(self, value: Any, start: int, end: int) -> None:
        self._close(self._seen)
        self._open("code", start)
        self._looks = [CODE]
        fence = _FENCE.match(self._source, start, end)
        if value != "Indented" and fence and fence[2].strip():
            self._content.add(fence[2].rstrip(), fence.start(2), CODE._replace(italic=True))
            self._content.add_sign("\n", CODE, fence.end(2))

    def _on_endcodeblock(self, _value: Any, _start: int, end: int) -> None:
        self._looks = [PLAIN]
        self._close(end)

    def _on_starthtmlblock(self, _value: None, start: int, _end: int) -> None:
        self._close(self._seen)
        self._open("code", start)

    _on_endhtmlblock = _on_endcodeblock

    def _add_source(self, name: str, start: int, end: int) -> None:
        if name == "StartImage":
            self._add(start, end, self._looks[-1]._replace(code=True))
        else:
            self._close(self._seen)
            self._open("code", start)
            self._add(start, end, CODE)
            self._close(end)

    # Containers

    def _on_startblockquote(self, _value: Any, start: int, _end: int) -> None:
        self._close(self._seen)
        self._show_gap(start)
        self._containers.append(Container("quote"))

    def _on_startlist(self, _value: Any, start: int, _end: int) -> None:
        self._close(self._seen)
        self._show_gap(start)
        self._containers.append(Container("list"))

    def _on_endlist(self, _value: Any, _start: int, _end: int) -> None:
        self._close(self._seen)
        self._containers.pop()

    _on_endblockquote = _on_endlist

    def _on_startitem(self, _value: None, start: int, _end: int) -> None:
        self._close(self._seen)
        self._show_gap(start)
        found = _MARKER.match(self._source, start)
        content = Content()
        if found and found[1]:
            content.add(found[1], found.start(1), PLAIN)
        else:
            content.add_sign(_BULLET, PLAIN)
        self._containers[-1].markers.append(content.text)
        self._markers.append(Marker(self._containers[-1], content))

    def _on_enditem(self, _value: None, start: int, _end: int) -> None:
        self._close(self._seen)
        if self._markers and self._markers[-1].container is self._containers[-1]:  # an empty item
            self._open("paragraph", max(start, self._covered), tight=True)
            self._close(self._covered)

    # Tables

    def _on_starttable(self, value: Any, start: int, end: int) -> None:
        self._close(self._seen)
        rows = self._source.count("\n", start, end)
        if rows > self._max_rows:
            raise RefusedDocument(Reason.TOO_MANY_PAGES, f"a table has {rows} lines, too many for spec.page.maxPages")
        block = self._open("table", start)
        block.alignments = [_ALIGNMENTS.get(alignment, 0) for alignment in value]
        self._is_cut = False
        for line in re.finditer(r"[^\n]+", self._source[start:end]):
            marks = 0 if not line.start() else len(_LINE_END.match("\n" + line[0])[0]) - 1  # type: ignore[index]
            if block.content.text:
                block.content.add_sign("\n", CODE, start + line.start() - 1)
            block.content.add(line[0][marks:], start + line.start() + marks, CODE)

    def _on_starttablerow(self, _value: None, start: int, _end: int) -> None:
        if self._block is not None:
            line = max(self._block.start, self._source.rfind("\n", 0, start) + 1)
            self._block.rows.append(Row(line, []))

    _on_starttablehead = _on_starttablerow

    def _on_endtablerow(self, _value: None, _start: int, end: int) -> None:
        self._is_cut |= bool(self._source[self._seen : end].strip(" |\n>"))
        self._looks = [PLAIN]

    _on_endtablehead = _on_endtablerow

    def _on_starttablecell(self, _value: None, start: int, _end: int) -> None:
        if self._block is not None:
            self._content = Content()
            self._looks = [PLAIN if len(self._block.rows) > 1 else BOLD]
            self._block.rows[-1].cells.append(self._content)
            self._seen = start

    def _on_endtablecell(self, _value: None, _start: int, end: int) -> None:
        self._seen = end

    def _on_endtable(self, _value: Any, _start: int, end: int) -> None:
        if self._block is not None and self._is_cut:
            self._block.kind, self._block.rows = "code", []
        self._close(end)

    # Text

    def _on_text(self, _value: str, start: int, end: int) -> None:
        self._add(start, end)

    def _on_inlinehtml(self, _value: str, start: int, end: int) -> None:
        self._add(start, end, self._looks[-1]._replace(code=True))

    def _on_html(self, _value: str, start: int, end: int) -> None:
        self._add(start, end, CODE)

    def _on_code(self, _value: str, start: int, end: int) -> None:
        text = self._source[start:end]
        ticks = len(text) - len(text.lstrip("`"))
        first, last = start + ticks, end - ticks
        inside = self._source[first:last]
        if inside.strip(" \n") and inside[0] in " \n" and inside[-1] in " \n":
            first, last = first + 1, last - 1
        look = self._looks[-1]._replace(code=True)
        if self._block is not None and self._block.kind == "table":
            while (bar := self._source.find("\\|", first, last)) >= 0:  # the table's escape, not the code's
                self._add(first, bar, look)
                first = bar + 1
        self._add(first, last, look)
        self._seen = end

    def _on_tasklistmarker(self, _value: bool, start: int, end: int) -> None:
        self._add(start, end)
        self._content.add(self._source[end : end + 1].strip("\n"), end, self._looks[-1])

    def _on_softbreak(self, _value: None, start: int, _end: int) -> None:
        self._content.add_sign(" ", self._looks[-1], start)

    def _on_hardbreak(self, _value: None, start: int, end: int) -> None:
        self._content.add_sign("\n", self._looks[-1], start)
        self._seen = end

    def _on_inline(self, name: str, start: int) -> None:
        self._ensure_block(start)
        self._looks.append(self._looks[-1]._replace(**_INLINE[name]))
        if name == "Link":
            self._seen = start + 1

    def _end_inline(self, name: str, start: int, end: int) -> None:
        self._looks.pop()
        if name == "Link" and self._source[start] == "[":
            tail = _LINK_TAIL.match(self._source, self._seen, end)
            if tail:
                self._add(tail.end(), end)
        self._seen = end

    def _add(self, start: int, end: int, look: Look | None = None) -> None:
        """Draw a part of the source. Its line ends become blanks, without the marks of containers behind them."""
        self._ensure_block(start)
        look = look or self._looks[-1]
        is_block = self._block is not None and self._block.kind == "code"
        if is_block or "\n" not in self._source[start:end]:
            self._content.add(self._source[start:end], start, look)
        else:
            place = start
            for match in _LINE_END.finditer(self._source, start, end):
                self._content.add(self._source[place : match.start()], place, look)
                self._content.add_sign(" ", look, match.start())
                place = match.end()
            self._content.add(self._source[place:end], place, look)
        self._seen = end

    def _ensure_block(self, start: int) -> None:
        """Text of a list item without blank lines comes without a paragraph."""
        if self._block is None:
            self._open("paragraph", start, tight=True)
