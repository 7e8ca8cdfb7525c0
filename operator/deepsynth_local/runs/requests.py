"""What commands ask of the process that runs a folder's resources: files that it takes and removes.

    deepsynth-runs/requests/00000001764460800000000000-4242.json    {"verb": "apply", "resources": [...]}
                                                                    {"verb": "delete", "key": [kind, namespace, name]}

Only that process writes resources while it runs, so that no change is lost between two writers.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey


@dataclass(frozen=True)
class Request:
    """resources: to create or to change. delete: to delete, with their pods."""

    resources: Sequence[Manifest] = ()
    delete: Sequence[ResourceKey] = field(default_factory=tuple)


def write_request(runs: RunsFolder, request: Request) -> Path:
    """The file, which disappears when the request was taken."""
    folder = runs.requests
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{time.time_ns():026}-{os.getpid()}.json"
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps({"resources": list(request.resources), "delete": list(request.delete)}))
    draft.replace(file)
    return file


def list_requests(runs: RunsFolder) -> list[Path]:
    """In the order in which they were written."""
    return sorted(runs.requests.glob("*.json"))


def take_requests(runs: RunsFolder) -> Iterator[Request]:
    """Each request once. Its file is removed after the caller has carried it out."""
    for file in list_requests(runs):
        yield _parse(json.loads(file.read_text()))
        file.unlink(missing_ok=True)


def _parse(value: Mapping[str, Any]) -> Request:
    return Request(value["resources"], [ResourceKey(*key) for key in value["delete"]])
