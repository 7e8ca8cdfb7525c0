"""The Events of a folder's resources, one JSON object a line: what `kubectl describe` shows of a cluster's."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_operator.core.observed import Manifest
from deepsynth_simulator.memory_cluster import RecordedEvent


def write_event(runs: RunsFolder, event: RecordedEvent) -> None:
    line = {"time": event.time.isoformat(), "key": event.resource, "kind": event.kind}
    line |= {"reason": event.reason, "message": event.message}
    with runs.events.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_events(runs: RunsFolder, resource: Manifest) -> Iterator[dict[str, Any]]:
    """Those about this resource, not about an earlier one of its name."""
    metadata = resource["metadata"]
    key = [resource["kind"], metadata["namespace"], metadata["name"]]
    since = datetime.fromisoformat(metadata.get("creationTimestamp") or "1970-01-01T00:00:00Z")
    lines = runs.events.read_text(encoding="utf-8").splitlines() if runs.events.is_file() else []
    for line in lines:
        event: dict[str, Any] = json.loads(line)
        event["time"] = datetime.fromisoformat(event["time"])
        if event["key"] == key and event["time"] >= since:
            yield event
