"""Text with several looks to lines: shaped, broken and placed as plain text is, in as many fonts as it needs."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deepsynth_render.page.faces import BLACK, LIGHT, Faces, Metrics
from deepsynth_render.page.growing import Ints, expand_ranges
from deepsynth_render.page.layout import find_lefts
from deepsynth_render.page.lines import Lines, break_lines, compute_edges, find_pitch
from deepsynth_render.page.markdown.blocks import NOWHERE, PLAIN, Content, Look
from deepsynth_render.page.scripts.segments import cut_keys, split_text
from deepsynth_render.page.strips import Bar, Part
from deepsynth_render.page.words import ADVANCE, CHARS, INKED, LINE_FEED, Directions, WordCache

_BREAKS_AFTER: Final = frozenset("-\u2010\u2013\u2014")


@dataclass(frozen=True)
class Pieces:
    """The pieces of a content, (pieces,) each.

    rows: of the shapes. values: (pieces, 7) what the shapes say of them. ends: index of the character behind a piece.
    looks: index into content.spans. glued: as in Directions.
    """

    content: Content
    rows: Ints
    values: Ints
    ends: Ints
    looks: Ints
    glued: Ints
    directions: Directions | None

    @property
    def runs_left(self) -> bool:
        """Whether the first paragraph runs from right to left."""
        return self.directions is not None and len(self.directions.bases) > 0 and bool(self.directions.bases[0])

    @property
    def natural_width(self) -> int:
        """Of the text on one line, in 1/64 px."""
        return int(compute_edges(self.values)[1][-1])

    @property
    def widest(self) -> int:
        """Of all pieces, in 1/64 px."""
        return int(self.values[:, ADVANCE].max())

    @cached_property
    def signed(self) -> NDArray[np.bool_]:
        """(spans,) which of the content's looks draw something behind or through the words."""
        return np.array([look.code or look.linked or look.struck for _, look in self.content.spans], np.bool_)


@dataclass(frozen=True)
class SetLines:
    """Lines with their pieces in place. x: (n,) of the pieces on lines. bounds: (lines + 1,) where each line's are."""

    pieces: Pieces
    lines: Lines
    on_lines: Ints
    x: Ints
    bounds: list[int]
    inked: list[bool]
    metrics: Metrics


def set_content(content: Content, faces: Faces, size_px: int, characters: str, width: int) -> Pieces:
    """Shape a content for lines of `width` 1/64 px. characters: the distinct ones of the document."""
    pieces = _shape(content, faces, size_px, characters, narrow=False)
    return pieces if pieces.widest <= width else _shape(content, faces, size_px, characters, narrow=True)


def _shape(content: Content, faces: Faces, size_px: int, characters: str, *, narrow: bool) -> Pieces:
    keys, directions = split_text(content.text, characters)
    caches = [faces.find(look, size_px, narrow=narrow) for _, look in content.spans or [(0, PLAIN)]]
    if len(caches) == 1:
        rows, counts = caches[0].find_keys(keys)
        looks, joints, key_indices = (
            np.zeros(len(rows), np.int64),
            np.zeros(len(rows), np.int64),
            np.arange(len(keys)),
        )
    else:
        starts = [start for start, _ in content.spans]
        parts = list(cut_keys(keys, starts[1:]))
        looks = np.searchsorted(starts, [part.start for part in parts], "right") - 1  # (parts,)
        rows, counts = _find_rows([part.key for part in parts], looks, caches)
        looks = np.repeat(looks, counts)
        joints = np.repeat(np.array([part.glued for part in parts], np.int64), counts)
        key_indices = np.array([part.key_index for part in parts])
    values = faces.shapes.pieces.take(rows)
    ends = np.minimum(np.cumsum(values[:, CHARS]), len(content.text))
    is_last = np.ones(len(rows), bool)  # of its key, or of the part of it in one look
    if len(rows) > len(counts):
        is_last[:] = False
        is_last[np.cumsum(counts) - 1] = True
        joints *= is_last
        inside = np.flatnonzero(~is_last)  # parts of a word; those that do not end with a hyphen were cut by force
        joints[inside] = [content.text[end - 1] not in _BREAKS_AFTER for end in ends[inside].tolist()]
    if directions is None:
        return Pieces(content, rows, values, ends, looks, joints, None)
    index = np.repeat(key_indices, counts)
    levels, spaces, bases, glued = (np.array(entries, np.int64)[index] for entries in directions)
    joints |= glued * is_last
    found = Directions(levels, np.where(is_last & (joints == 0), spaces, levels), bases, joints)
    return Pieces(content, rows, values, ends, looks, joints, found)


def _find_rows(keys: list[str], looks: Ints, caches: list[WordCache]) -> tuple[Ints, Ints]:
    """(pieces,) rows of the shapes, and (keys,) how many pieces each key has. looks: (keys,) index of its cache."""
    places = defaultdict(list)
    for place, look in enumerate(looks.tolist()):
        places[caches[look]].append(place)
    counts = np.zeros(len(keys), np.int64)
    rows = {}
    for words, indices in places.items():
        rows[words], counts[indices] = words.find_keys([keys[index] for index in indices])
    if len(rows) == 1:
        return next(iter(rows.values())), counts
    first = np.cumsum(counts) - counts
    merged = np.zeros(int(counts.sum()), np.int64)
    for words, indices in places.items():
        merged[expand_ranges(first[indices], counts[indices])] = rows[words]
    return merged, counts


def set_lines(
    pieces: Pieces,
    faces: Faces,
    metrics: Metrics,
    width: int,
    *,
    justify: bool = False,
    alignment: int = 0,
    own_pitch: bool = True,
) -> SetLines:
    """Break and place the pieces in lines of `width`, in 1/64 px.

    alignment: as in Block, 0 is where reading starts. own_pitch: whether tall letters widen the pitch.
    """
    glued = pieces.glued if pieces.glued.any() else None
    lines = break_lines(pieces.values, pieces.rows == LINE_FEED, width, glued)
    extents = faces.body.find_extents(pieces.rows) if own_pitch else None
    if extents is not None:
        metrics = metrics.widen(find_pitch(lines, extents))
    counts = lines.ends - lines.starts
    x = find_lefts(lines, pieces.values, width, justify=justify, directions=pieces.directions)
    on_lines = expand_ranges(lines.starts, counts)
    if alignment and not (alignment == 2 and pieces.runs_left):
        slack = np.maximum(width - _measure_lines(lines, pieces.values), 0)
        shift = slack // 2 * (-1 if pieces.runs_left else 1) if alignment == 1 else slack
        x = x + np.repeat(shift, counts)
    inked = np.append(0, np.cumsum(pieces.values[:, INKED]))
    return SetLines(
        pieces,
        lines,
        on_lines,
        x,
        np.append(0, np.cumsum(counts)).tolist(),
        (inked[lines.ends] > inked[lines.starts]).tolist(),
        metrics,
    )


def set_together(
    contents: Sequence[Content], faces: Faces, size_px: int, characters: str, width: int, *, justify: bool
) -> list[SetLines | None]:
    """The lines of each content as set_content and set_lines give them, in a third of the time.

    None for a content that must be set alone: some of it runs from right to left, or a word is wider than a line.
    """
    joined = Content.join(contents)
    pieces = _shape(joined, faces, size_px, characters, narrow=False)
    if pieces.directions is not None:
        return [None] * len(contents)
    feeds = np.flatnonzero(pieces.rows == LINE_FEED)
    paragraphs = np.cumsum([content.text.count("\n") + 1 for content in contents])  # (contents,)
    ends = np.append(feeds[paragraphs[:-1] - 1], len(pieces.rows))  # (contents,) piece after the last
    starts = np.append(0, ends[:-1] + 1)  # (contents,) first piece
    fits = np.maximum.reduceat(pieces.values[:, ADVANCE], starts) <= width  # (contents,)
    if not fits.all():
        kept = iter(
            set_together(
                [content for content, is_kept in zip(contents, fits.tolist(), strict=True) if is_kept],
                *(faces, size_px, characters, width),
                justify=justify,
            )
            if fits.any()
            else ()
        )
        return [next(kept) if is_kept else None for is_kept in fits.tolist()]
    metrics = faces.measure(size_px)
    is_justified = justify and bool(pieces.values[:, INKED].any())
    found = set_lines(pieces, faces, metrics, width, justify=is_justified, own_pitch=False)
    return list(_divide(found, contents, faces, starts, ends))


def _divide(found: SetLines, contents: Sequence[Content], faces: Faces, starts: Ints, ends: Ints) -> Iterator[SetLines]:
    """The lines of each content. starts, ends: (contents,) its pieces."""
    pieces, lines = found.pieces, found.lines
    extents = faces.body.find_extents(pieces.rows)
    lengths = np.array([len(content.text) for content in contents])
    texts = np.cumsum(lengths + 1) - lengths - 1  # (contents,) index of the first character
    looks = np.searchsorted([start for start, _ in pieces.content.spans], texts, "right") - 1  # (contents,)
    first_lines = np.searchsorted(lines.starts, np.append(starts, len(pieces.rows))).tolist()  # (contents + 1,)
    columns = zip(
        contents, starts.tolist(), ends.tolist(), texts.tolist(), lengths.tolist(), looks.tolist(), strict=True
    )
    for index, (content, start, end, text, length, look) in enumerate(columns):
        first, last = first_lines[index], first_lines[index + 1]
        placed, stop = found.bounds[first], found.bounds[last]
        own = Pieces(
            content,
            pieces.rows[start:end],
            pieces.values[start:end],
            np.minimum(pieces.ends[start:end] - text, length),
            pieces.looks[start:end] - look,
            pieces.glued[start:end],
            None,
        )
        own_lines = Lines(lines.starts[first:last] - start, lines.ends[first:last] - start, lines.closing[first:last])
        metrics = found.metrics
        if extents is not None and extents[start:end].any():
            metrics = metrics.widen(find_pitch(own_lines, extents[start:end]))
        yield SetLines(
            own,
            own_lines,
            found.on_lines[placed:stop] - start,
            found.x[placed:stop],
            [bound - placed for bound in found.bounds[first : last + 1]],
            found.inked[first:last],
            metrics,
        )


def _measure_lines(lines: Lines, values: Ints) -> Ints:
    """(lines,) width of each, in 1/64 px."""
    left, right = compute_edges(values)
    last = np.maximum(lines.ends - 1, lines.starts).clip(max=len(values) - 1)
    first = lines.starts.clip(max=len(values) - 1)
    return np.where(lines.ends > lines.starts, right[last] - left[first], 0)


def find_line_starts(set_lines: SetLines, source: str) -> list[int]:
    """(lines,) where, in the source, the text of a page begins that begins with the line. That of the first is unused.

    It begins with the marks that stand before the first word, as in "**word".
    """
    content = set_lines.pieces.content
    first = np.append(0, set_lines.pieces.ends)[set_lines.lines.starts]  # (lines,) index of each line's first character
    text, origins = content.text, content.origins
    found = []
    for start in first.tolist():
        before = start - 1
        while before >= 0 and (text[before] in " \n" or origins[before] == NOWHERE):
            before -= 1
        if before < 0 or start >= len(origins):
            found.append(origins[min(start, len(origins) - 1)] if origins else 0)
            continue
        gap_start, gap_end = origins[before] + 1, origins[start]
        feed = source.rfind("\n", gap_start, gap_end)
        blank = source.rfind(" ", gap_start, gap_end)
        found.append(feed + 1 if feed >= 0 else blank + 1 if blank >= 0 else gap_end)
    return found


def build_part(set_lines: SetLines, line: int, left: int, top: int) -> Part:
    """The pieces of a line.

    left: in 1/64 px from the left edge of the column. top: in pixels from the top of the strip.
    """
    on_line = slice(set_lines.bounds[line], set_lines.bounds[line + 1])
    rows = set_lines.pieces.rows[set_lines.on_lines[on_line]]
    return Part(rows, set_lines.x[on_line] + left, top + set_lines.metrics.baseline)


def draw_signs(set_lines: SetLines, line: int, left: int, top: int) -> list[Bar]:
    """What is drawn behind and through the words of a line: grey of code, lines of links and of struck words.

    left, top: as for build_part.
    """
    pieces = set_lines.pieces
    spans = pieces.content.spans
    if not pieces.signed.any():
        return []
    on_line = slice(set_lines.bounds[line], set_lines.bounds[line + 1])
    indices = set_lines.on_lines[on_line]
    looks = pieces.looks[indices]
    first = set_lines.x[on_line] + left
    end = first + pieces.values[indices, ADVANCE]
    bars = []
    for n in np.flatnonzero(pieces.signed[looks]).tolist():
        start, stop = int(first[n]), int(end[n])
        if n + 1 < len(looks) and looks[n + 1] == looks[n]:  # with the blank between the two
            neighbour = int(first[n + 1]), int(end[n + 1])
            start, stop = (neighbour[1], stop) if neighbour[0] < start else (start, neighbour[0])
        bars += _draw_sign(spans[looks[n]][1], start >> 6, -(-stop >> 6), top, set_lines.metrics)
    return bars


def _draw_sign(look: Look, left: int, right: int, top: int, metrics: Metrics) -> list[Bar]:
    bars = []
    width, baseline = max(right - left, 1), top + metrics.baseline
    if look.code:
        bars.append(Bar(left, top + 1, width, metrics.pitch - 2, LIGHT))
    if look.linked:
        bars.append(Bar(left, baseline + max(metrics.pitch // 12, 1), width, 1, BLACK))
    if look.struck:
        bars.append(Bar(left, baseline - metrics.pitch // 5, width, 1, BLACK))
    return bars
