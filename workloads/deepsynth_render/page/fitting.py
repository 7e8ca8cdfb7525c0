"""spec.page.fit: which font size, how much of a page's height, for one document. Pure decisions about numbers.

Smaller type never needs more pages, and a lower column never fewer: both are searched by bisection.
"""

from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from math import log
from typing import Final

MIN_SIZE_PX: Final = 6
"""The least that spec.page.fontSizesPx allows, too."""

CountPages = Callable[[int], int]


def find_least_shrunk(size_px: int, max_percent: int, count_pages: CountPages) -> int:
    """The largest font size with as few pages as the smallest one, which is max_percent smaller.

    count_pages: of the document at a size.
    """
    smallest = max(-(-size_px * (100 - max_percent) // 100), min(MIN_SIZE_PX, size_px))
    count = cache(count_pages)
    if count(size_px) == 1:
        return size_px
    return _find_largest(smallest, size_px, lambda size: count(size) <= count(smallest))


def find_compressed(size_px: int, target: float, measure: Callable[[int], float]) -> int:
    """The font size, from MIN_SIZE_PX to size_px, whose compression is nearest to the target; the largest of several.

    measure: text tokens per image token of the document at a size, which do not fall with smaller type.
    """
    compute = cache(measure)
    reaching = _find_largest(MIN_SIZE_PX, size_px, lambda size: compute(size) >= target)
    candidates = {reaching, min(reaching + 1, size_px)}
    best = min(candidates, key=lambda size: (abs(log(compute(size) / target)), -size))
    return _find_largest(best, size_px, lambda size: compute(size) >= compute(best))


def find_balanced_lines(lines: int, pages: int, count_pages: CountPages) -> int:
    """The least number of lines per column with which the document still has this number of pages.

    lines: with which it has `pages`. count_pages: of the document with columns of some lines.
    """
    if pages == 1:
        return lines
    return bisect_left(range(1, lines), True, key=lambda lower: count_pages(lower) <= pages) + 1


def crop(height: int, ink_bottom: int, margin: int, multiple: int) -> int:
    """The height of a page that ends below its ink, a multiple of `multiple`, and at most that of the page."""
    return min(-(-(ink_bottom + margin) // multiple) * multiple, height)


def _find_largest(smallest: int, largest: int, holds: Callable[[int], bool]) -> int:
    """The largest size for which something holds, which is true for all smaller ones; the smallest if for none."""
    sizes = range(largest, smallest, -1)
    return largest - bisect_left(sizes, True, key=holds)
