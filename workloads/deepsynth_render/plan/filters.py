"""Which rows become documents. Pure; every row that does not is given the reason it is counted by."""

from dataclasses import dataclass
from typing import Literal

from deepsynth_api.v1alpha1 import Filters
from deepsynth_render.page.characters import normalise
from deepsynth_render.sources import Row

DropReason = Literal[
    "MissingText",
    "MissingSummary",
    "InvalidUnicode",
    "TextTooShort",
    "TextTooLong",
    "SummaryTooShort",
    "SummaryTooLong",
    "Duplicate",
]


@dataclass(frozen=True)
class Pair:
    """A document's text and summary, normalised."""

    text: str
    summary: str


def apply_filters(row: Row, filters: Filters) -> Pair | DropReason:
    """The row as a pair, or the first reason against it. Lengths are characters after normalisation."""
    text, summary = row
    if text is None:
        return "MissingText"
    if summary is None:
        return "MissingSummary"
    pair = Pair(normalise(text), normalise(summary))
    if not (_is_unicode(pair.text) and _is_unicode(pair.summary)):
        return "InvalidUnicode"
    return _check_lengths(pair, filters) or pair


def _check_lengths(pair: Pair, filters: Filters) -> DropReason | None:
    if len(pair.text) < filters.min_text_chars:
        return "TextTooShort"
    if filters.max_text_chars is not None and len(pair.text) > filters.max_text_chars:
        return "TextTooLong"
    if len(pair.summary) < filters.min_summary_chars:
        return "SummaryTooShort"
    if filters.max_summary_chars is not None and len(pair.summary) > filters.max_summary_chars:
        return "SummaryTooLong"
    return None


def _is_unicode(text: str) -> bool:
    """False for lone surrogates, which JSON can escape but no file can hold as UTF-8."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
