"""`deepsynth report` and `deepsynth compare`: HTML pages about resources, and their differences as text."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from deepsynth.verbs.names import find_all
from deepsynth_api.kinds import KINDS
from deepsynth_client.errors import NotFoundError
from deepsynth_client.interface import Manifest, Resources
from deepsynth_client.report.page import build_report, write_report
from deepsynth_client.report.results import NEEDED, find_results, has_files


def report_resources(resources: Resources, words: Sequence[str], file: Path) -> Path:
    """Write a page about the resources that are named, or about all. Returns its path."""
    found = find_all(resources, words) if words else [item for kind in KINDS for item in resources.list_all(kind)]
    if not found:
        raise NotFoundError(f"no resources in {resources.place}")
    return write_report(build_page(resources, found), file)


def build_page(resources: Resources, found: Sequence[Manifest]) -> str:
    """The HTML of a page about these resources."""
    models = [KINDS[item["kind"]].resource.model_validate(item) for item in found]
    folders = {uri: folder for item in found for uri, folder in fetch_folders(resources, item).items()}
    return build_report(models, folders.get, resources.place, datetime.now(UTC))


def fetch_folders(resources: Resources, resource: Manifest) -> dict[str, Path]:
    """Folders on this machine with what the report reads, by URI."""
    if not has_files(resource):
        return {}
    uri = find_results(resource)
    folder = resources.open_files(resource).fetch(uri, NEEDED)
    return {} if folder is None else {uri: folder}
