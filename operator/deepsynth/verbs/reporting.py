"""`deepsynth report` and `deepsynth compare`: HTML pages about resources, and their differences as text."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from deepsynth.verbs.names import find_all, format_short_name
from deepsynth_api.errors import WorkloadError
from deepsynth_api.kinds import KINDS
from deepsynth_client.errors import ClientError, NotFoundError
from deepsynth_client.interface import Manifest, Resources, is_object
from deepsynth_client.report.page import build_report, write_report
from deepsynth_client.report.results import NEEDED, find_results, has_results

Say = Callable[[str], None]


def report_resources(resources: Resources, words: Sequence[str], file: Path, say: Say) -> Path:
    """Write a page about the resources that are named, or about all. Returns its path. say: see fetch_folders."""
    found = find_all(resources, words) if words else [item for kind in KINDS for item in resources.list_all(kind)]
    if not found:
        raise NotFoundError(f"no resources in {resources.place}")
    return write_report(build_page(resources, found, say), file)


def build_page(resources: Resources, found: Sequence[Manifest], say: Say) -> str:
    """The HTML of a page about these resources."""
    models = [KINDS[item["kind"]].resource.model_validate(item) for item in found]
    folders = {uri: folder for item in found for uri, folder in fetch_folders(resources, item, say).items()}
    return build_report(models, folders.get, resources.place, datetime.now(UTC))


def fetch_folders(resources: Resources, resource: Manifest, say: Say) -> dict[str, Path]:
    """Folders on this machine with what the report reads, by URI. say: gets a line if a store cannot be read."""
    if not has_results(resource):
        return {}
    uri, files = find_results(resource), resources.open_files(resource)
    is_run = resource["kind"] == "TrainingRun"
    try:
        folder = files.fetch(uri, NEEDED) if is_run else files.fetch_pages(uri)
    except (ClientError, WorkloadError) as error:
        if is_run and not is_object(uri):
            raise
        what = "curves and samples" if is_run else "sample pages"
        say(f"{format_short_name(resource)} is shown without {what}: {uri} could not be read: {error.message}")
        return {}
    return {} if folder is None else {uri: folder}
