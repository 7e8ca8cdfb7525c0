"""Which rows become documents. Pure: a row gives its text and summary, or the reason why it is dropped."""

import re
from dataclasses import dataclass
from typing import Final

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Filters
from deepsynth_render.page.characters import collapse_blanks, normalise
from deepsynth_render.page.fallback import REPLACEMENT
from deepsynth_render.sources import Row

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""JSON can escape them, but no file can hold them as UTF-8."""


@dataclass(frozen=True)
class Pair:
    """A document's text and summary, normalised. replaced: how many lone surrogates became U+FFFD in both."""

    text: str
    summary: str
    replaced: int = 0


def apply_filters(row: Row, filters: Filters, *, collapse: bool = False, keep_tabs: bool = False) -> Pair | Reason:
    """The row as a pair, or the first reason to drop it. Lengths are in characters, after normalisation.

    collapse: runs of blanks of the text, as spec.page.whitespace says. keep_tabs: for tab stops.
    """
    text, summary = row
    if text is None:
        return Reason.MISSING_TEXT
    if summary is None:
        return Reason.MISSING_SUMMARY
    (text, in_text), (summary, in_summary) = map(_replace_surrogates, (text, summary))
    if in_text + in_summary and filters.undrawable == "refuse":
        return Reason.INVALID_UNICODE
    text = normalise(text, keep_tabs=keep_tabs)
    pair = Pair(collapse_blanks(text) if collapse else text, normalise(summary), in_text + in_summary)
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


def _replace_surrogates(text: str) -> tuple[str, int]:
    """Before the text is normalised, which depends on what is next to a character."""
    return (text, 0) if text.isascii() else _LONE_SURROGATE.subn(REPLACEMENT, text)
