"""Render report.html from the templates of this package."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from deepsynth_api.errors import TemporaryError
from deepsynth_api.v1alpha1 import DatasetGeneration, Resource
from deepsynth_local.report.results import Curves, read_curves, read_sample_pages, read_written_samples
from deepsynth_local.report.sections import Section, build_generation_section, build_run_section
from deepsynth_local.runs.runs_folder import RunsFolder

# Names, messages and pages are untrusted text: autoescape covers every template, not only those named .html.
_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("deepsynth_local.report", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write_report(resources: Sequence[Resource], runs: RunsFolder, now: datetime) -> Path:
    """Write report.html about these resources; returns its path. Raises TemporaryError when it cannot be written."""
    text = build_report(resources, runs, now)
    try:
        runs.report.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TemporaryError(
            f"{runs.report}: cannot be written: {error.strerror}; the results are not affected"
        ) from error
    return runs.report


def build_report(resources: Sequence[Resource], runs: RunsFolder, now: datetime) -> str:
    """The HTML of the page. Sample pages and curves are shown where their volumes are on this machine."""
    sections = [_build_section(resource, runs) for resource in resources]
    return _ENVIRONMENT.get_template("report.html").render(sections=sections, runs=runs.path, now=now)


def _build_section(resource: Resource, runs: RunsFolder) -> Section:
    if isinstance(resource, DatasetGeneration):
        folder = runs.find_folder(resource.spec.output.uri)
        is_published = resource.status.output is not None
        return build_generation_section(resource, read_sample_pages(folder) if folder and is_published else [])
    folder = runs.find_folder(resource.spec.checkpoint.uri)
    if folder is None:
        return build_run_section(resource, Curves())
    output = resource.status.output
    return build_run_section(
        resource, read_curves(folder), read_written_samples(folder, output.step if output else None)
    )
