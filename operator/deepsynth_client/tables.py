"""The table that `kubectl get` prints: columns from the CRD, with kubectl's ages and spacing."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from deepsynth_api.crd.schema import build_columns
from deepsynth_client.interface import Manifest

_MIN_WIDTH: Final = 6
_PADDING: Final = 3
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_YEAR: Final = 365 * _DAY


def build_table(kind: str, resources: Sequence[Manifest], now: datetime, *, wide: bool = False) -> list[list[str]]:
    """Header and one row per resource, cells as text."""
    columns = [column for column in build_columns(kind) if wide or column["priority"] == 0]
    header = ["NAME", *(column["name"].upper() for column in columns)]
    rows = [
        [resource["metadata"]["name"], *(_format_cell(resource, column, now) for column in columns)]
        for resource in resources
    ]
    return [header, *rows]


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned as by kubectl: three spaces between them, none after the last."""
    widths = [max(_MIN_WIDTH, *(len(cell) + _PADDING for cell in column)) for column in zip(*rows, strict=True)]
    lines = (
        "".join(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)) + row[-1] for row in rows
    )
    return "\n".join(lines)


def format_age(seconds: float) -> str:
    """A duration as in kubectl's AGE column (HumanDuration): 119s, 3m20s, 93m, 5h5m, 3d4h."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 2 * _MINUTE:
        return f"{max(whole, 0)}s"
    if whole < 10 * _MINUTE:
        return _join(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _join(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _join(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    return _join(whole, _YEAR, "y", _DAY, "d") if whole < 8 * _YEAR else f"{whole // _YEAR}y"


def _join(seconds: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = seconds % large // small
    return f"{seconds // large}{large_unit}" + (f"{rest}{small_unit}" if rest else "")


def _format_cell(resource: Manifest, column: Mapping[str, Any], now: datetime) -> str:
    value: Any = resource
    for part in column["jsonPath"].removeprefix(".").split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return ""
    if column["type"] == "date":
        return format_age((now - datetime.fromisoformat(value)).total_seconds())
    return str(value)
