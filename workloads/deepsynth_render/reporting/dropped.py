"""Documents that are dropped instead of published: the exception that says why, and how they are counted."""

from collections import Counter
from collections.abc import Iterable, Mapping

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows


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
