"""Documents that are dropped instead of published: the exception that says why, and how they are counted."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from deepsynth_api.counted import counted
from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows, Undrawable, UndrawableCharacter


class RefusedDocument(Exception):  # noqa: N818 - the document is refused; the program has no error
    """A document that cannot be drawn without losing text. It is dropped and counted, never cut.

    reason: counted in status.progress.dropped: EmptyDocument, UnsupportedScript, MissingGlyph, Overflow, TooManyPages.
    message: names the character, the width or the number of pages.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[object, ...]:
        """Keep both parts when the exception crosses a process boundary."""
        return type(self), (self.reason, self.message)


REFUSALS: Final = frozenset(
    {
        Reason.EMPTY_DOCUMENT,
        Reason.UNSUPPORTED_SCRIPT,
        Reason.MISSING_GLYPH,
        Reason.OVERFLOW,
        Reason.TOO_MANY_PAGES,
    }
)
"""Reasons of documents that pass the filters and cannot be drawn."""


def require_drawn(documents: int, dropped: Iterable[DroppedRows], limit: int, undrawable: Undrawable | None) -> None:
    """Raise DataError if too many documents are refused.

    documents: those that are drawn. limit: spec.maxRefusedPercent. undrawable: for the message.
    """
    refused = [entry for entry in dropped if entry.reason in REFUSALS]
    count = sum(entry.rows for entry in refused)
    if 100 * count > limit * (documents + count):
        characters = ", ".join(f"{entry.character} ({entry.documents})" for entry in _list_characters(undrawable))
        raise DataError(
            f"{100 * count / (documents + count):.1f} % of {counted(documents + count, 'document')} cannot be drawn "
            f"({explain_dropped(refused)}), more than spec.maxRefusedPercent {limit}"
            + (f"; characters that no font has: {characters}" if characters else "")
            + f"; {', '.join(_find_remedies(refused))}, or raise spec.maxRefusedPercent",
            reason=Reason.TOO_MANY_ROWS_REFUSED,
        )


def _list_characters(undrawable: Undrawable | None) -> list[UndrawableCharacter]:
    return undrawable.characters[:3] if undrawable else []


def _find_remedies(refused: Iterable[DroppedRows]) -> list[str]:
    remedies: dict[str, str] = {
        Reason.OVERFLOW: "use a larger spec.page.size or smaller fonts",
        Reason.TOO_MANY_PAGES: "raise spec.page.maxPages",
    }
    replace = "set spec.filters.undrawable to replace"
    return list(dict.fromkeys(remedies.get(entry.reason, replace) for entry in refused))


def list_dropped(counts: Mapping[str, int]) -> list[DroppedRows]:
    """The counts as status shows them: the most frequent reason first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [DroppedRows(reason=reason, rows=rows) for reason, rows in ordered]


def add_dropped(lists: Iterable[list[DroppedRows]]) -> list[DroppedRows]:
    """The sum of several lists."""
    total: Counter[str] = Counter()
    for entries in lists:
        total.update({entry.reason: entry.rows for entry in entries})
    return list_dropped(total)


def explain_dropped(entries: Iterable[DroppedRows]) -> str:
    """For messages: "12 TextTooShort, 3 Duplicate"."""
    return ", ".join(f"{entry.rows} {entry.reason}" for entry in entries)
