"""`deepsynth describe`: a resource for a reader: its life, what it made, its Events, and what to do next."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from deepsynth.verbs.names import format_short_name
from deepsynth.verbs.waiting import SILENCE_SECONDS
from deepsynth_api.kinds import KINDS
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import DatasetGeneration, Resource
from deepsynth_client.interface import Manifest, Note, Resources
from deepsynth_client.remedies import describe_retry, find_remedy
from deepsynth_client.report.results import Curves
from deepsynth_client.report.sections import Section, Table, build_generation_section, build_run_section
from deepsynth_client.tables import format_age, format_table

_WIDTH: Final = 118
_LABEL_WIDTH: Final = 20


def describe(resources: Resources, found: Manifest, now: datetime, options: str = "") -> str:
    """The text to print. options: what chooses the place of the resource in a command, with a space before it."""
    resource = KINDS[found["kind"]].resource.model_validate(found)
    section = _build_section(resource)
    notes = resources.list_notes(found)
    parts = [
        [*_describe_life(resource, section, resources.place, now)],
        [*_describe_pairs(section)],
        *([f"{table.caption}:", _indent(_format(table))] for table in section.tables if table.rows),
        ["Notes:", *(f"  {note}" for note in section.notes)] if section.notes else [],
        ["Events:", _indent(_format_notes(notes, now)) if notes else "  none are kept"],
        ["Next:", *(_wrap(f"- {line}") for line in advise(found, resources.explain_silence, now, options))],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def advise(resource: Manifest, explain_silence: Callable[[], str], now: datetime, options: str = "") -> Iterator[str]:
    """What the user can do now. Commands are those of `deepsynth`."""
    name, status = format_short_name(resource) + options, resource.get("status", {})
    state = status.get("state")
    if _is_unseen(resource, now):
        yield explain_silence()
    elif state == "Failed":
        yield from filter(None, [find_remedy(resource)])
        yield f"`deepsynth logs {name}` shows the process that failed first"
        yield describe_retry(resource, f"deepsynth delete {name}")
    elif state == "Suspended":
        yield f"`deepsynth resume {name}` continues it"
    elif state == "Complete":
        yield from _advise_use(resource, options)
    elif state in {"Running", "Rendering", "Starting"}:
        yield from _advise_wait(resource)
        yield f"`deepsynth wait {name}` waits for its end, `deepsynth logs -f {name}` shows what it prints"
    else:
        yield from _advise_wait(resource)
        yield f"`deepsynth wait {name}` waits for its end"


def _advise_use(resource: Manifest, options: str) -> Iterator[str]:
    name, status = format_short_name(resource) + options, resource["status"]
    uri = (status.get("output") or {}).get("uri", "")
    if resource["kind"] == "TrainingRun" and uri:
        yield f"`deepsynth predict {uri} FILE...` reads pages with the model"
    elif uri:
        yield f"a TrainingRun reads it with `datasetGenerationRef: {{name: {resource['metadata']['name']}}}`"
    yield f"`deepsynth report {name}` writes a page with curves and samples"


def _advise_wait(resource: Manifest) -> Iterator[str]:
    """The remedy of what keeps it waiting."""
    conditions = {item["type"]: item for item in resource.get("status", {}).get("conditions") or []}
    word = conditions.get("Complete", {}).get("reason", "")
    reason = next((reason for reason in Reason if reason == word), None)
    if reason is not None and reason.remedy:
        yield f"{reason}: {reason.remedy}"


def _is_unseen(resource: Manifest, now: datetime) -> bool:
    created = resource["metadata"].get("creationTimestamp")
    age = now - datetime.fromisoformat(created) if created else timedelta()
    return resource.get("status", {}).get("observedGeneration", -1) < 0 and age.total_seconds() >= SILENCE_SECONDS


def _build_section(resource: Resource) -> Section:
    if isinstance(resource, DatasetGeneration):
        return build_generation_section(resource, [])
    return build_run_section(resource, Curves())


def _describe_life(resource: Resource, section: Section, place: str, now: datetime) -> Iterator[str]:
    status = resource.status
    yield _pair("Name", f"{section.kind} {section.name}, in {place}")
    yield _pair("State", section.state + (f": {section.message}" if section.message else ""))
    times = [
        ("created", resource.metadata.creation_timestamp),
        ("started", status.start_time),
        ("ended", status.completion_time),
    ]
    yield _pair(
        "Life", ", ".join(f"{word} {format_age((now - time).total_seconds())} ago" for word, time in times if time)
    )
    for condition in status.conditions:
        if condition.status == "True" and condition.message and condition.message != section.message:
            yield _pair(condition.type, f"{condition.reason}: {condition.message}")


def _describe_pairs(section: Section) -> Iterator[str]:
    for label, value in {**section.figures, **section.places}.items():
        if value:
            yield _pair(label, value)


def _pair(label: str, value: str) -> str:
    lines = textwrap.wrap(
        " ".join(value.split()), _WIDTH - _LABEL_WIDTH, break_long_words=False, break_on_hyphens=False
    )
    head = f"{label + ':':<{_LABEL_WIDTH}} "
    return head + f"\n{' ' * len(head)}".join(lines or [""])


def _format(table: Table) -> str:
    """Cells on one line; columns that are empty in all rows are not shown."""
    rows = [list(table.header), *([" ".join(cell.split()) for cell in row] for row in table.rows)]
    shown = [index for index in range(len(table.header)) if any(row[index] for row in rows[1:])]
    return format_table([[row[index] for index in shown] for row in rows])


def _format_notes(notes: Sequence[Note], now: datetime) -> str:
    rows = [
        [
            format_age((now - note.time).total_seconds()) + (f" (x{note.count})" if note.count > 1 else ""),
            note.kind,
            note.reason,
            " ".join(note.message.split()),
        ]
        for note in notes
    ]
    return format_table([["AGE", "TYPE", "REASON", "MESSAGE"], *rows])


def _indent(text: str) -> str:
    return textwrap.indent(text, "  ")


def _wrap(text: str) -> str:
    return textwrap.fill(
        text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
