"""Counts of rows left out."""

from collections import Counter
from collections.abc import Iterable, Mapping

from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows


def list_dropped(counts: Mapping[str, int]) -> list[DroppedRows]:
    """As status shows them: the most frequent reason first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [DroppedRows(reason=reason, rows=rows) for reason, rows in ordered]


def add_dropped(lists: Iterable[list[DroppedRows]]) -> list[DroppedRows]:
    """The sum over several lists."""
    total: Counter[str] = Counter()
    for entries in lists:
        total.update({entry.reason: entry.rows for entry in entries})
    return list_dropped(total)
