"""Render report.html from the templates of this package."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from deepsynth_api.errors import TemporaryError
from deepsynth_api.v1alpha1 import DatasetGeneration, Resource
from deepsynth_client.report.publication import explain_foreign_files
from deepsynth_client.report.results import Curves, read_curves, read_sample_pages, read_written_samples
from deepsynth_client.report.sections import Section, build_generation_section, build_run_section

# Names, messages and pages are untrusted text: autoescape covers every template, not only those named .html.
_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("deepsynth_client.report", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


FindFolder = Callable[[str], Path | None]
"""From a URI of a resource to a folder on this machine with its files, or None. No part of its path is a link."""


def write_report(text: str, file: Path) -> Path:
    """Write the page; returns its path. Raises TemporaryError when it cannot be written."""
    try:
        file.write_text(text, encoding="utf-8", errors="replace")  # paths can have bytes that are not UTF-8
    except OSError as error:
        raise TemporaryError(f"{file}: cannot be written: {error.strerror}; the results are not affected") from error
    return file


def build_report(resources: Sequence[Resource], find_folder: FindFolder, place: str, now: datetime) -> str:
    """The HTML of the page. Sample pages and curves are shown where `find_folder` has their files."""
    sections = [_build_section(resource, find_folder) for resource in resources]
    return render("report.html", sections=sections, place=place, now=now)


def render(template: str, **values: Any) -> str:
    """The HTML of a template of this package."""
    return _ENVIRONMENT.get_template(template).render(**values)


def _build_section(resource: Resource, find_folder: FindFolder) -> Section:
    if isinstance(resource, DatasetGeneration):
        folder = find_folder(resource.spec.output.uri)
        published = resource.status.output
        if folder is None or published is None:
            return build_generation_section(resource, [])
        foreign = explain_foreign_files(folder, published.manifest_sha256)
        return build_generation_section(resource, read_sample_pages(folder), [foreign] if foreign else [])
    folder = find_folder(resource.spec.checkpoint.uri)
    if folder is None:
        return build_run_section(resource, Curves())
    output = resource.status.output
    return build_run_section(
        resource, read_curves(folder), read_written_samples(folder, output.step if output else None)
    )
