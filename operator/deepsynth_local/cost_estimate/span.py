"""A number that is not known exactly: what is expected, and from where to where it may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

MIN_DEVIATION: Final = 0.2


@dataclass(frozen=True)
class Span:
    expected: float
    low: float
    high: float

    def __add__(self, other: "Span") -> "Span":
        return Span(self.expected + other.expected, self.low + other.low, self.high + other.high)

    def __mul__(self, factor: float) -> "Span":
        return Span(self.expected * factor, self.low * factor, self.high * factor)

    def widen(self) -> "Span":
        """With a range of at least a fifth in each direction: the same work, measured again, differs by as much."""
        low, high = self.expected * (1 - MIN_DEVIATION), self.expected * (1 + MIN_DEVIATION)
        return Span(self.expected, min(self.low, low), max(self.high, high))

    @classmethod
    def between(cls, first: float, second: float) -> "Span":
        """Either of two is right, or something between them."""
        return cls((first + second) / 2, min(first, second), max(first, second))

    @classmethod
    def join(cls, spans: Sequence["Span"]) -> "Span":
        """What several predictions of the same number say together."""
        expected = median(span.expected for span in spans)
        return cls(expected, min(span.low for span in spans), max(span.high for span in spans))


NOTHING = Span(0, 0, 0)
