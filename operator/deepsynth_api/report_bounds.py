"""Bounds for what a pod reports. Pods run code of users, so every text and list is cut, and no number may be absurd.

`bound_report` walks over all fields, so a new field of a report is bounded without being named here.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows, PlannedSplit, ReadColumns, SkippedFiles
from deepsynth_api.v1alpha1.shared.base import ApiModel

Model = TypeVar("Model", bound=ApiModel)

MAX_ITEMS: Final = 64
MAX_BYTES: Final = 512
MAX_FIELD_BYTES: Final = {
    "message": 4096,
    "exception": 4096,
    "notes": 1024,
    "note": 1024,
    "reference": 1024,
    "written": 1024,
    "uri": 2048,
    "reason": 64,
    "config": 128,
    "name": 128,
    "node": 253,
    "staging": 64,
    "text": 128,
    "summary": 128,
    "examples": 256,
    "script": 32,
    "character": 128,
}
"""Where it is not MAX_BYTES."""
MAX_FIELD_ITEMS: Final = {"examples": 3, "scripts": 10, "characters": 10, "restarts": 8}
"""Where it is not MAX_ITEMS."""
MAX_SKIPPED: Final = 16
MAX_COLUMNS: Final = 32
MAX_NUMBER: Final = 2**53
"""Above any real count of bytes, and exact in every JSON library. The sum of 1,000 such numbers is an int64."""
_OTHER: Final = "Other"
_ESCAPED: Final = re.compile(r'[\x00-\x1f<>&\u2028\u2029"\\]')
_ESCAPED_BYTES: Final = 6
_MIN_YEAR: Final = 1970
_MAX_YEAR: Final = 9000
_NOT_A_WORD: Final = re.compile(r"[^A-Za-z0-9_]+")


def bound_report(report: Model) -> Model:
    """`report` with short texts and short lists; sums over a list stay what they are.

    Raises ValueError for a number or a time that is too large for computations or for the status.
    """
    return report.model_copy(update={name: _bound(name, value) for name, value in report.__dict__.items()})


def measure_text(text: str) -> int:
    """Bytes of `text` as the API server stores it: in UTF-8, and `<`, quotes or control characters as six bytes."""
    return len(text.encode(errors="replace")) + (_ESCAPED_BYTES - 1) * len(_ESCAPED.findall(text))


def cut_text(text: str, limit: int) -> str:
    """The beginning of `text` that takes at most `limit` bytes in a status."""
    if len(text) * _ESCAPED_BYTES <= limit or (len(text) <= limit and measure_text(text) <= limit):
        return text
    longest = range(min(len(text), limit) + 1)
    return text[: bisect_right(longest, limit, key=lambda end: measure_text(text[:end])) - 1]


def fold_dropped(dropped: Sequence[DroppedRows], limit: int = MAX_ITEMS) -> list[DroppedRows]:
    """At most `limit` reasons: if there are more, those with the most rows, and the sum of the others as Other."""
    if len(dropped) <= limit:
        return list(dropped)
    ranked = sorted(dropped, key=lambda item: (item.reason == _OTHER, -item.rows, item.reason))
    rest = sum(item.rows for item in ranked[limit - 1 :])
    return [*sorted(ranked[: limit - 1], key=lambda item: item.reason), DroppedRows(reason=_OTHER, rows=rest)]


def fold_splits(splits: Sequence[PlannedSplit], limit: int = MAX_ITEMS) -> list[PlannedSplit]:
    """At most `limit` splits: if there are more, the first ones, and the sum of the others as one split."""
    if len(splits) <= limit:
        return list(splits)
    others = splits[limit - 1 :]
    rest = PlannedSplit(name=f"{len(others)} other splits", rows=sum(split.rows for split in others))
    return [*splits[: limit - 1], rest]


def fold_skipped(skipped: Sequence[SkippedFiles], limit: int = MAX_ITEMS) -> list[SkippedFiles]:
    """At most `limit` reasons not to read files: if there are more, the first ones, and the sum of the others."""
    if len(skipped) <= limit:
        return list(skipped)
    rest = sum(item.files for item in skipped[limit - 1 :])
    return [*skipped[: limit - 1], SkippedFiles(reason=_OTHER, files=rest)]


def fold_columns(columns: Sequence[ReadColumns], limit: int = MAX_COLUMNS) -> list[ReadColumns]:
    """At most `limit` pairs of columns: if there are more, the first ones, and the rows of the others in one entry."""
    if len(columns) <= limit:
        return list(columns)
    others = columns[limit - 1 :]
    rest = ReadColumns(config=f"{len(others)} others", text=_OTHER, summary=_OTHER, rows=sum(x.rows for x in others))
    return [*columns[: limit - 1], rest]


def _bound(name: str, value: Any) -> Any:
    match value:
        case ApiModel():
            return bound_report(value)
        case list():
            return _bound_list(name, value)
        case str() if name == "reason":
            return _NOT_A_WORD.sub("", value)[: MAX_FIELD_BYTES["reason"]]
        case str():
            return cut_text(value, MAX_FIELD_BYTES.get(name, MAX_BYTES))
        case datetime():
            if value.tzinfo is None or not _MIN_YEAR <= value.year <= _MAX_YEAR:
                raise ValueError(f"{name}: must be a time with a zone, in the years {_MIN_YEAR} to {_MAX_YEAR}")
        # An integer of hundreds of digits is larger than any float, so it is compared and never converted. NaN fails.
        case int() | float() if not -MAX_NUMBER <= value <= MAX_NUMBER:
            raise ValueError(f"{name}: must be a number of at most {MAX_NUMBER}")
    return value


def _bound_list(name: str, items: list[Any]) -> list[Any]:
    bounded = [_bound(name, item) for item in items]
    if all(isinstance(item, DroppedRows) for item in bounded):
        return fold_dropped(bounded)
    if all(isinstance(item, PlannedSplit) for item in bounded):
        return fold_splits(bounded)
    if all(isinstance(item, SkippedFiles) for item in bounded):
        return fold_skipped(bounded, MAX_SKIPPED)
    if all(isinstance(item, ReadColumns) for item in bounded):
        return fold_columns(bounded)
    return bounded[-MAX_ITEMS:] if name == "notes" else bounded[: MAX_FIELD_ITEMS.get(name, MAX_ITEMS)]
