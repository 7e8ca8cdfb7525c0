"""One run or generation: what the report says about it, and what only a page can: Events, logs, images on demand."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deepsynth_api.kinds import KINDS
from deepsynth_api.v1alpha1 import DatasetGeneration, Resource
from deepsynth_client.attempt_logs import LoggedAttempt, list_attempts
from deepsynth_client.errors import ClientError
from deepsynth_client.interface import Manifest, Note, Resources
from deepsynth_client.progress import describe_progress, get_percentage
from deepsynth_client.report.results import find_results, has_results
from deepsynth_client.report.sections import Section, Table, build_generation_section, build_run_section
from deepsynth_client.tables import format_age
from deepsynth_ui.addresses import Key, get_key
from deepsynth_ui.listing import find_problem
from deepsynth_ui.results import LinkedPage, LinkedSample, ResultFiles


@dataclass(frozen=True)
class ResourcePage:
    """note: why curves, samples or pages are missing; can_fetch: whether a button may bring them."""

    key: Key
    section: Section
    percentage: int
    progress: str
    problem: str
    life: str
    samples: Sequence[LinkedSample]
    pages: Sequence[LinkedPage]
    tables: Sequence[Table]
    attempts: Sequence[LoggedAttempt]
    note: str
    can_fetch: bool


def build_resource_page(
    resources: Resources, found: Manifest, files: ResultFiles, root: str, now: datetime
) -> ResourcePage:
    built: Any = KINDS[found["kind"]].resource.model_validate(found)
    resource: Resource = built
    notes, problem = _try(lambda: resources.list_notes(found))
    section = _build_section(resource, found, files)
    samples = files.link_samples(found, root) if found["kind"] == "TrainingRun" else ()
    pages = files.link_pages(found, root) if found["kind"] == "DatasetGeneration" else ()
    missing = _explain_missing(found, files)
    return ResourcePage(
        key=get_key(found),
        section=section,
        percentage=get_percentage(found),
        progress=describe_progress(found, now),
        problem="" if section.message else find_problem(found),
        life=_describe_life(resource, now),
        samples=samples,
        pages=pages,
        tables=[_build_conditions(resource, now), _build_events(notes or [], now, problem)],
        attempts=list_attempts(found)[::-1],
        note=missing or _explain_unreadable(found, files, has_images=bool(samples or pages)),
        can_fetch=bool(missing) and files.can_fetch(found),
    )


def _build_section(resource: Resource, found: Manifest, files: ResultFiles) -> Section:
    if isinstance(resource, DatasetGeneration):
        return build_generation_section(resource, [], files.find_notes(found))
    return build_run_section(resource, files.read_curves(found))


def _explain_missing(found: Manifest, files: ResultFiles) -> str:
    if not has_results(found) or files.find_folder(found) is not None:
        return ""
    what = "Curves and samples are" if found["kind"] == "TrainingRun" else "Pages are"
    remedy = ""
    if not files.may_fetch:
        remedy = f" `deepsynth report {found['metadata']['name']}` on your machine shows them."
    return f"{what} in {find_results(found)}, which this page does not have.{remedy}"


def _explain_unreadable(found: Manifest, files: ResultFiles, *, has_images: bool) -> str:
    """For files that are there and not shown."""
    if has_images or not files.has_images(found):
        return ""
    what = "samples" if found["kind"] == "TrainingRun" else "pages"
    return f"The {what} in {find_results(found)} cannot be read: their file is damaged or too large."


def _describe_life(resource: Resource, now: datetime) -> str:
    times = [
        ("created", resource.metadata.creation_timestamp),
        ("started", resource.status.start_time),
        ("ended", resource.status.completion_time),
    ]
    return ", ".join(f"{word} {format_age((now - time).total_seconds())} ago" for word, time in times if time)


def _build_conditions(resource: Resource, now: datetime) -> Table:
    rows = [
        [
            condition.type,
            condition.status,
            condition.reason,
            format_age((now - condition.last_transition_time).total_seconds()),
            condition.message,
        ]
        for condition in resource.status.conditions
    ]
    return Table("Conditions", ["Condition", "Status", "Reason", "Age", "Message"], rows)


def _build_events(notes: Sequence[Note], now: datetime, problem: str) -> Table:
    rows = [[*_format_note(note, now)] for note in reversed(notes)] or [["", "", "", problem or "none are kept"]]
    return Table("Events", ["Age", "Type", "Reason", "Message"], rows)


def _format_note(note: Note, now: datetime) -> Iterator[str]:
    yield format_age((now - note.time).total_seconds()) + (f" (x{note.count})" if note.count > 1 else "")
    yield from (note.kind, note.reason, note.message)


def _try(read: Callable[[], list[Note]]) -> tuple[list[Note] | None, str]:
    """What could be read, or why not: a user who may not list Events may see all else."""
    try:
        return read(), ""
    except ClientError as error:
        return None, error.message
