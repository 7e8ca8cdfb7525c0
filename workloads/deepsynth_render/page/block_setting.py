"""Blocks to strips: indents of lists and quotes, sizes of headings, the space between blocks."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from deepsynth_api.reasons import Reason
from deepsynth_render.page.faces import GREY, LIGHT, Faces
from deepsynth_render.page.geometry import Geometry
from deepsynth_render.page.markdown.blocks import PLAIN, Block, Container, Content
from deepsynth_render.page.paragraphs import (
    SetLines,
    build_part,
    draw_signs,
    find_line_starts,
    set_content,
    set_lines,
    set_together,
)
from deepsynth_render.page.scripts.properties import list_characters
from deepsynth_render.page.scripts.segments import DIRECTED
from deepsynth_render.page.strips import Bar, Part, Strip
from deepsynth_render.page.tables import set_table
from deepsynth_render.page.words import INKED
from deepsynth_render.reporting.dropped import RefusedDocument

_TEXTS: Final = frozenset({"paragraph", "heading", "code"})
_ON_GREY: Final = frozenset({"code", "table"})
"""A table is drawn as code if it is too wide for a frame."""
_QUOTE_EMS: Final = 1.0
_LIST_EMS: Final = 1.5
_GAP_EMS: Final = 0.4
_MAX_INDENT: Final = 0.5
"""Part of the column that nested lists and quotes may take; levels beyond it are drawn at the same place."""


class BlockSetter:
    """pieces, pieces_to_left: how many have ink, and how many of these belong to text from right to left."""

    def __init__(self, source: str, faces: Faces, geometry: Geometry, *, justify: bool) -> None:
        self._source = source
        self._faces = faces
        self._size = faces.size_px
        self._gap = round(_GAP_EMS * faces.size_px)
        self._width = geometry.column_width
        self._max_height = geometry.text_height
        self._justify = justify
        self._characters = list_characters(source)
        self._indents: dict[Container, int] = {}
        self._set_markers: dict[str, tuple[Part, int]] = {}
        self.pieces = self.pieces_to_left = 0

    def set_blocks(self, blocks: Sequence[Block]) -> list[Strip]:
        strips: list[Strip] = []
        before: Block | None = None
        all_lefts = [self._find_lefts(block.containers) for block in blocks]
        together = self._set_together(blocks, all_lefts)
        for block, lefts in zip(blocks, all_lefts, strict=True):
            found = self._set_block(block, lefts, together.get(block))
            found[0].start = block.start
            found[0].space = self._find_space(before, block)
            for index, strip in enumerate(found):
                self._draw_quotes(block, strip, lefts, before if index == 0 else block)
                if strip.height > self._max_height:
                    raise RefusedDocument(Reason.OVERFLOW, f"a line of {strip.height} px is taller than the page")
            strips += found
            before = block
        return strips

    def _set_together(self, blocks: Sequence[Block], all_lefts: Sequence[list[int]]) -> dict[Block, SetLines]:
        """The lines of most blocks: those of one width and size, in one look or in several, are set in one go."""
        groups = defaultdict(list)
        for block, lefts in zip(blocks, all_lefts, strict=True):
            if block.kind in _TEXTS and not DIRECTED.search(block.content.text):
                spans = block.content.spans
                look = spans[0][1] if len(spans) == 1 else None
                groups[self._find_measures(block, lefts), block.kind == "paragraph", look].append(block)
        found: dict[Block, SetLines] = {}
        for ((size, width), is_paragraph, _), members in groups.items():
            justify = self._justify and is_paragraph
            contents = [block.content for block in members]
            lines = set_together(contents, self._faces, size, self._characters, width * 64, justify=justify)
            found |= {block: own for block, own in zip(members, lines, strict=True) if own is not None}
        return found

    def _find_measures(self, block: Block, lefts: list[int]) -> tuple[int, int]:
        """Size of the letters and width of the lines, in pixels."""
        size = self._faces.find_heading_size(block.level) if block.level else self._size
        padding = self._gap if block.kind in _ON_GREY else 0
        return size, self._width - (lefts[-1] if lefts else 0) - 2 * padding

    def _set_block(self, block: Block, lefts: list[int], lines: SetLines | None) -> list[Strip]:
        """lines: of a block of text, if they are set already."""
        left = lefts[-1] if lefts else 0
        if block.kind == "table":
            strips = set_table(block, self._faces, self._width - left, self._max_height, self._characters)
            if strips is None or not strips:
                return self._set_text(block, lefts, None)
            for strip in strips:
                strip.move(left)
                self._count_parts(strip)
            self._draw_markers(block, strips[0], lefts, runs_left=False)
            return strips
        if block.kind == "rule":
            pitch = self._faces.measure(self._size).pitch
            bar = Bar(left, pitch // 2, self._width - left, 2, GREY)
            strip = Strip(block.start, pitch, bars=[bar])
            self._draw_markers(block, strip, lefts, runs_left=False)
            return [strip]
        return self._set_text(block, lefts, lines)

    def _set_text(self, block: Block, lefts: list[int], lines: SetLines | None) -> list[Strip]:
        """A paragraph, a heading, or lines of code on grey."""
        left = lefts[-1] if lefts else 0
        lines = lines or self._set_alone(block, lefts)
        pieces = lines.pieces
        is_code = block.kind in _ON_GREY
        padding = self._gap if is_code else 0
        inked = int(pieces.values[:, INKED].sum())
        self.pieces += inked
        self.pieces_to_left += inked if pieces.runs_left else 0
        starts = find_line_starts(lines, self._source)
        box = 0 if pieces.runs_left else left
        strips = []
        for line, start in enumerate(starts):
            strip = Strip(start, lines.metrics.pitch, inked=lines.inked[line], keeps=block.kind == "heading")
            strip.runs_left = pieces.runs_left
            if is_code:
                strip.bars.append(Bar(box, 0, self._width - left, lines.metrics.pitch, LIGHT))
            else:
                strip.bars = draw_signs(lines, line, box * 64, 0)
            part = build_part(lines, line, (box + padding) * 64, 0)
            if len(part.rows):
                strip.parts.append(part)
            strips.append(strip)
        self._draw_markers(block, strips[0], lefts, runs_left=pieces.runs_left)
        return strips

    def _set_alone(self, block: Block, lefts: list[int]) -> SetLines:
        size, width = self._find_measures(block, lefts)
        pieces = set_content(block.content, self._faces, size, self._characters, width * 64)
        justify = self._justify and block.kind == "paragraph" and bool(pieces.values[:, INKED].any())
        return set_lines(pieces, self._faces, self._faces.measure(size), width * 64, justify=justify)

    def _draw_markers(self, block: Block, strip: Strip, lefts: list[int], *, runs_left: bool) -> None:
        """Bullets and numbers hang to the left of the text, or to its right."""
        places = dict(zip(block.containers, lefts, strict=True))
        for marker in block.markers:
            part, width = self._set_marker(marker.content)
            place = places[marker.container] - self._gap
            x = (self._width - place) * 64 if runs_left else place * 64 - width
            baseline = strip.parts[0].baseline if strip.parts else part.baseline
            strip.parts.insert(0, part._replace(x=part.x + max(x, 0), baseline=baseline))
            strip.inked = True
            self.pieces += 1
            self.pieces_to_left += runs_left

    def _set_marker(self, content: Content) -> tuple[Part, int]:
        """A bullet or number at the left edge, and its width in 1/64 px. Most are the same as the one before."""
        if content.text not in self._set_markers:
            width = self._width * 64
            pieces = set_content(content, self._faces, self._size, self._characters, width)
            part = build_part(set_lines(pieces, self._faces, self._faces.measure(self._size), width), 0, 0, 0)
            self._set_markers[content.text] = part._replace(x=part.x - part.x.min()), pieces.natural_width
        return self._set_markers[content.text]

    def _find_lefts(self, containers: tuple[Container, ...]) -> list[int]:
        """For each container, from the outermost, how far what it holds is indented, in pixels."""
        lefts: list[int] = []
        left = 0
        for container in containers:
            left = min(left + self._find_indent(container), int(self._width * _MAX_INDENT))
            lefts.append(left)
        return lefts

    def _find_indent(self, container: Container) -> int:
        if container not in self._indents:
            ems = _QUOTE_EMS if container.kind == "quote" else _LIST_EMS
            longest = Content()
            longest.add_sign(max(container.markers, key=len, default=""), PLAIN)
            marker = -(-self._set_marker(longest)[1] // 64) + 2 * self._gap if longest.text else 0
            self._indents[container] = max(round(ems * self._size), marker)
        return self._indents[container]

    def _find_space(self, before: Block | None, block: Block) -> int:
        """Between two blocks: half a line, and none within a list whose items have no blank lines between them."""
        if before is None:
            return 0
        pitch = self._faces.measure(self._size).pitch
        if block.tight and (before.tight or set(before.containers) & set(block.containers)):
            return 0
        return pitch if block.kind == "heading" else pitch // 2

    def _draw_quotes(self, block: Block, strip: Strip, lefts: list[int], before: Block | None) -> None:
        for index, container in enumerate(block.containers):
            if container.kind == "quote":
                above = strip.space if before and container in before.containers else 0
                outer = (lefts[index - 1] if index else 0) + self._gap // 2
                x = self._width - outer - 2 if strip.runs_left else outer
                strip.bars.append(Bar(x, -above, 2, strip.height + above, GREY))

    def _count_parts(self, strip: Strip) -> None:
        values = self._faces.shapes.pieces
        for part in strip.parts:
            self.pieces += int(values.take(part.rows)[:, INKED].sum())
