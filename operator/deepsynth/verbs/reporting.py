"""`deepsynth report` and `deepsynth compare`: HTML pages about resources, and their differences as text."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deepsynth.verbs.names import find_all
from deepsynth_api.kinds import KINDS
from deepsynth_client.errors import NotFoundError
from deepsynth_client.interface import Manifest, Resources
from deepsynth_client.report.page import build_report, write_report

NEEDED: Final = (
    "reports/*.json",
    "step-*/metrics.jsonl",
    "step-*/evaluation.json",
    "samples/step-*.json",
    "samples/pages/*.png",
)
"""What a report reads of a checkpoint folder, the most important first: in a cluster not all may fit."""


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
    field = "checkpoint" if resource["kind"] == "TrainingRun" else "output"
    uri = (resource["spec"].get(field) or {}).get("uri", "")
    if not _has_files(resource):
        return {}
    folder = resources.open_files(resource).fetch(uri, NEEDED)
    return {} if folder is None else {uri: folder}


def _has_files(resource: Manifest) -> bool:
    """Whether a pod of it has run; and of a generation only what a folder of this machine has can be shown."""
    status = resource.get("status", {})
    return bool(status.get("attempts") or status.get("jobs"))
