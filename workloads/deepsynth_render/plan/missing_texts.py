"""Whether the columns of texts and summaries are the right ones: a wrong one may exist and be empty in most rows."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.report_bounds import cut_text
from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows, ReadColumns
from deepsynth_render.sources import NO_SUMMARY

_MISSING: Final[Mapping[str, tuple[str, str]]] = {
    Reason.MISSING_TEXT: ("text", "name the column of the texts"),
    Reason.MISSING_SUMMARY: ("summary", f"name the column of the summaries, {NO_SUMMARY!r} if there are none"),
}
"""Field of spec.source.columns and what to do, by the reason of the rows that it drops."""
_MIN_LIMIT: Final = 90
"""Per cent. Data of which only a part has summaries is usual; a wrong column is empty in nearly all rows."""
_MAX_NAMED: Final = 3
_MAX_NAME_BYTES: Final = 128
"""The remedy comes after the names, and a report is cut at its end."""


def require_texts(rows: int, dropped: Iterable[DroppedRows], limit: int, columns: Sequence[ReadColumns]) -> None:
    """Raise DataError if nearly all rows lack a text or a summary.

    rows: all that were read. limit: spec.maxRefusedPercent, which counts above 90. columns: for the message.
    """
    limit = max(limit, _MIN_LIMIT)
    missing = Counter({entry.reason: entry.rows for entry in dropped if entry.reason in _MISSING})
    if 100 * missing.total() <= limit * rows:
        return
    (reason, count), *_ = missing.most_common()
    field, remedy = _MISSING[reason]
    found = list(dict.fromkeys(getattr(read, field) for read in columns))
    more = f" or {len(found) - _MAX_NAMED} others" if len(found) > _MAX_NAMED else ""
    names = " or ".join(repr(cut_text(name, _MAX_NAME_BYTES)) for name in found[:_MAX_NAMED]) + more
    raise DataError(
        f"spec.source.columns.{field}: {count} of {rows} rows have nothing in the column {names}; more than {limit} % "
        f"of the rows lack a text or a summary; {remedy}, or set spec.maxRefusedPercent: 100 to do without these rows",
        reason=Reason.TOO_MANY_ROWS_REFUSED,
    )
