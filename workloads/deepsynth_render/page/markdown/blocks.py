r"""What a Markdown document is made of: blocks, each with its text and the place in the source of each character.

The source "> a **bold**\n> word" is one block in one container:

    text      a   b o l d   w o r d
    origins   2 3 6 7 8 9 14 15 ...      the soft line end is a blank, which stands for the line feed at 12
    spans     (0, plain) (2, bold) (6, plain)
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class Look(NamedTuple):
    """How characters are drawn. code: in monospace, on grey. linked: underlined. struck: with a line through them."""

    bold: bool = False
    italic: bool = False
    code: bool = False
    linked: bool = False
    struck: bool = False


PLAIN = Look()
BOLD = Look(bold=True)
CODE = Look(code=True)

NOWHERE = -1
"""Origin of a character that the source does not have, such as the bullet of a list."""


class Content:
    """A text that is set as one paragraph per line.

    origins: (characters,) index in the source, or NOWHERE. spans: where each look begins, in order.
    """

    def __init__(self) -> None:
        self._chunks: list[str] = []
        self.origins: list[int] = []
        self.spans: list[tuple[int, Look]] = []

    @property
    def text(self) -> str:
        if len(self._chunks) > 1:
            self._chunks = ["".join(self._chunks)]
        return self._chunks[0] if self._chunks else ""

    def add(self, text: str, origin: int, look: Look) -> None:
        """Append characters that follow each other in the source, from origin on."""
        self._add(text, range(origin, origin + len(text)), look)

    def add_sign(self, text: str, look: Look, origin: int = NOWHERE) -> None:
        """Append characters that stand for what is at origin."""
        self._add(text, [origin] * len(text), look)

    @classmethod
    def join(cls, contents: Iterable["Content"]) -> "Content":
        """Several contents, each in a paragraph or paragraphs of its own."""
        joined = cls()
        for index, content in enumerate(contents):
            if index:
                joined._chunks.append("\n")
                joined.origins.append(NOWHERE)
            first = len(joined.origins)
            for start, look in content.spans or [(0, PLAIN)]:
                if not joined.spans or joined.spans[-1][1] != look:
                    joined.spans.append((first + start, look))
            joined._chunks.append(content.text)
            joined.origins += content.origins
        return joined

    def cut(self, length: int) -> None:
        """Keep only the first characters."""
        self._chunks = [self.text[:length]]
        del self.origins[length:]
        self.spans = [span for span in self.spans if span[0] < length]

    def _add(self, text: str, origins: "range | list[int]", look: Look) -> None:
        if text:
            if not self.spans or self.spans[-1][1] != look:
                self.spans.append((len(self.origins), look))
            self._chunks.append(text)
            self.origins.extend(origins)


@dataclass(eq=False)
class Container:
    """A block quote or a list; what it holds is indented. markers: those of all items of a list."""

    kind: Literal["quote", "list"]
    markers: list[str] = field(default_factory=list)


class Marker(NamedTuple):
    """Bullet or number of a list item. container: its list."""

    container: Container
    content: Content


class Row(NamedTuple):
    """A row of a table. start: as in Block."""

    start: int
    cells: list[Content]


@dataclass(eq=False)
class Block:
    """What stands between two blank lines, or a whole table.

    start: where, in the source, the text of a page begins whose first line is the first of this block.
    containers: from the outermost. markers: of the items that begin with this block. tight: no space above it, in a
    list without blank lines. level: of a heading, 1 to 6. rows: of a table; the first one is its head. content of a
    table: its source, drawn in place of a frame that does not fit. alignments: of the columns; 0 is where reading
    starts, 1 the center, 2 the right.
    """

    kind: Literal["paragraph", "heading", "code", "rule", "table"]
    start: int
    content: Content
    containers: tuple[Container, ...] = ()
    markers: list[Marker] = field(default_factory=list)
    tight: bool = False
    level: int = 0
    rows: list[Row] = field(default_factory=list)
    alignments: list[int] = field(default_factory=list)
