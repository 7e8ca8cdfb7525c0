"""What users see while resources run: a live table in a terminal, one line or JSON record per change elsewhere."""

import logging
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deepsynth_api.logs import FIELDS, LogFormat, configure_logs, read_log_format
from deepsynth_client.progress import describe_progress, find_wait, get_percentage
from deepsynth_client.tables import build_table
from deepsynth_operator.core.observed import Manifest
from deepsynth_simulator.memory_cluster import RecordedEvent

_logger = logging.getLogger(__name__)
_STYLES = {
    "Complete": "bold green",
    "Failed": "bold red",
    "Suspended": "yellow",
    "Restarting": "yellow",
}
_MAX_BAR_WIDTH = 24
_MIN_BAR_WIDTH = 6
_GAP = 2
_LINE_EVERY_PERCENT = 10


class Display(Protocol):
    """`show` gets all resources of the command, several times a second."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, resources: Sequence[Manifest], now: datetime) -> None: ...

    def show_event(self, event: RecordedEvent) -> None: ...

    def show_message(self, text: str) -> None: ...

    def show_end(self, text: str, resource: Manifest | None = None, *, is_error: bool = False) -> None:
        """After everything else: how a resource ended, or where the report is. `text` may have several lines."""


class LiveTable:
    """kubectl's columns with a progress bar, redrawn in place; events scroll above it."""

    def __init__(self, console: Console) -> None:
        # No refresh thread: a fork is not safe while another thread runs, and the controller redraws often enough.
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, resources: Sequence[Manifest], now: datetime) -> None:
        self._live.update(build_tables(resources, now, self._live.console.width), refresh=True)

    def show_event(self, event: RecordedEvent) -> None:
        style = "yellow" if event.kind == "Warning" else "dim"
        self._live.console.print(Text(format_event(event), style=style), soft_wrap=True)

    def show_message(self, text: str) -> None:
        self._live.console.print(Text(text, style="bold"), soft_wrap=True)

    def show_end(self, text: str, resource: Manifest | None = None, *, is_error: bool = False) -> None:
        del resource
        print(text, file=sys.stderr if is_error else sys.stdout)


class PlainLines:
    """For logs and pipes: a line when a state changes, every ten percent of progress, and for each event."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._changes = _Changes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, resources: Sequence[Manifest], now: datetime) -> None:
        for resource in self._changes.find(resources):
            name = f"{resource['kind'].lower()}/{resource['metadata']['name']}"
            self._print(now, f"{name}: {describe_progress(resource, now)}")

    def show_event(self, event: RecordedEvent) -> None:
        self._print(event.time, format_event(event))

    def show_message(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show_end(self, text: str, resource: Manifest | None = None, *, is_error: bool = False) -> None:
        del resource
        print(text, file=sys.stderr if is_error else sys.stdout)

    def _print(self, time: datetime, text: str) -> None:
        self._console.print(f"{time:%H:%M:%S} {text}", markup=False, highlight=False, soft_wrap=True)


def configure_local_logs() -> None:
    """With JSON, everything that this process prints is a record. Raises ConfigurationError for an unknown format."""
    if read_log_format() == "json":
        configure_logs(logging.Formatter(), own="deepsynth_local")


class Records:
    """For DEEPSYNTH_LOG_FORMAT=json: the lines of PlainLines as log records, with the resource in fields."""

    def __init__(self) -> None:
        self._changes = _Changes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, resources: Sequence[Manifest], now: datetime) -> None:
        for resource in self._changes.find(resources):
            _logger.info(describe_progress(resource, now), extra={FIELDS: _name_fields(resource)})

    def show_event(self, event: RecordedEvent) -> None:
        level = logging.WARNING if event.kind == "Warning" else logging.INFO
        kind, namespace, name = event.resource
        fields = {"kind": kind, "namespace": namespace, "name": name, "reason": event.reason}
        _logger.log(level, event.message, extra={FIELDS: fields})

    def show_message(self, text: str) -> None:
        _logger.info(text)

    def show_end(self, text: str, resource: Manifest | None = None, *, is_error: bool = False) -> None:
        fields = {} if resource is None else _name_fields(resource)
        _logger.log(logging.ERROR if is_error else logging.INFO, text, extra={FIELDS: fields})


class _Changes:
    """Which resources have another state than when last asked, or ten more percent of progress."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, str], tuple[Any, ...]] = {}

    def find(self, resources: Sequence[Manifest]) -> list[Manifest]:
        found = [item for item in resources if self._shown.get(_get_key(item)) != _compute_stage(item)]
        self._shown |= {_get_key(item): _compute_stage(item) for item in found}
        return found


def build_display(console: Console, log_format: LogFormat = "text") -> Display:
    if log_format == "json":
        return Records()
    return LiveTable(console) if console.is_terminal else PlainLines(console)


def build_tables(resources: Sequence[Manifest], now: datetime, width: int) -> RenderableType:
    """One table per kind, `width` characters wide; below them what single resources wait for."""
    kinds = dict.fromkeys(resource["kind"] for resource in resources)
    groups = {kind: [item for item in resources if item["kind"] == kind] for kind in kinds}
    tables = [part for kind, group in groups.items() for part in _build_kind_table(kind, group, now, width)]
    notes = [
        Text(f"{item['metadata']['name']}: {text}", style="dim") for item in resources if (text := find_wait(item))
    ]
    return Group(*tables, *notes)


def format_event(event: RecordedEvent) -> str:
    kind, _, name = event.resource
    return f"{kind.lower()}/{name}: {event.reason}: {event.message}"


def _get_key(resource: Manifest) -> tuple[str, str]:
    return resource["kind"], resource["metadata"]["name"]


def _compute_stage(resource: Manifest) -> tuple[Any, ...]:
    status = resource.get("status", {})
    return status.get("state"), status.get("restarts"), get_percentage(resource) // _LINE_EVERY_PERCENT


def _name_fields(resource: Manifest) -> dict[str, Any]:
    metadata = resource["metadata"]
    return {"kind": resource["kind"], "namespace": metadata.get("namespace", ""), "name": metadata["name"]}


def _build_kind_table(kind: str, resources: Sequence[Manifest], now: datetime, width: int) -> list[RenderableType]:
    """The table; bars that do not fit into it come below."""
    # Without AGE, the last of these columns: 80 characters are too few for it and a bar.
    header, *rows = [row[:-1] for row in build_table(kind, resources, now)]
    bar_width = _find_bar_width([header, *rows], width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for column in header:
        table.add_column(column, no_wrap=True)
        if column == "PROGRESS" and bar_width:
            table.add_column("", width=bar_width)
    for resource, row in zip(resources, rows, strict=True):
        cells: list[RenderableType] = []
        for column, cell in zip(header, row, strict=True):
            cells.append(Text(cell, style=_STYLES.get(cell, "") if column == "STATE" else ""))
            if column == "PROGRESS" and bar_width:
                cells.append(_build_bar(resource, bar_width))
        table.add_row(*cells)
    return [table, *([] if bar_width else [_build_bar(resource, width) for resource in resources])]


def _find_bar_width(rows: Sequence[Sequence[str]], width: int) -> int:
    """Width that the columns leave for the bar; 0 if that is too little."""
    columns = sum(max(map(len, column)) + _GAP for column in zip(*rows, strict=True))
    room = min(_MAX_BAR_WIDTH, width - columns - _GAP)
    return room if room >= _MIN_BAR_WIDTH else 0


def _build_bar(resource: Manifest, width: int) -> ProgressBar:
    return ProgressBar(
        total=100, completed=get_percentage(resource), width=width, complete_style="cyan", finished_style="green"
    )
