"""Which rows become documents. Pure: a row gives its text and summary, or the reason why it is dropped."""

from dataclasses import dataclass

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Filters
from deepsynth_render.page.characters import collapse_blanks, normalise
from deepsynth_render.sources import Row


@dataclass(frozen=True)
class Pair:
    """A document's text and summary, normalised."""

    text: str
    summary: str


def apply_filters(row: Row, filters: Filters, *, collapse: bool = False, keep_tabs: bool = False) -> Pair | Reason:
    """The row as a pair, or the first reason to drop it. Lengths are in characters, after normalisation.

    collapse: runs of blanks of the text, as spec.page.whitespace says. keep_tabs: for tab stops.
    """
    text, summary = row
    if text is None:
        return Reason.MISSING_TEXT
    if summary is None:
        return Reason.MISSING_SUMMARY
    text = normalise(text, keep_tabs=keep_tabs)
    pair = Pair(collapse_blanks(text) if collapse else text, normalise(summary))
    if not (_is_unicode(pair.text) and _is_unicode(pair.summary)):
        return Reason.INVALID_UNICODE
    return _check_lengths(pair, filters) or pair


def _check_lengths(pair: Pair, filters: Filters) -> Reason | None:
    if len(pair.text) < filters.min_text_chars:
        return Reason.TEXT_TOO_SHORT
    if filters.max_text_chars is not None and len(pair.text) > filters.max_text_chars:
        return Reason.TEXT_TOO_LONG
    if len(pair.summary) < filters.min_summary_chars:
        return Reason.SUMMARY_TOO_SHORT
    if filters.max_summary_chars is not None and len(pair.summary) > filters.max_summary_chars:
        return Reason.SUMMARY_TOO_LONG
    return None


def _is_unicode(text: str) -> bool:
    """False for lone surrogates, which JSON can escape but no file can hold as UTF-8."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
