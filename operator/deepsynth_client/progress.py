"""How far a resource is, as a number and as a line of text; and whether it has ended."""

from datetime import datetime

from deepsynth_client.interface import Manifest
from deepsynth_client.tables import build_table


def describe_progress(resource: Manifest, now: datetime) -> str:
    """The columns as a line of text: Running, 42%, step 1260/3000, loss 1.83, eta 2h5m."""
    header, row = build_table(resource["kind"], [resource], now)
    cells = dict(zip(header, row, strict=True))
    plain = [cells.pop("STATE") or "Pending", cells.pop("PROGRESS")]
    named = [f"{name.lower()} {cell}" for name, cell in cells.items() if cell and name not in {"NAME", "AGE"}]
    wait = find_wait(resource)
    return ", ".join([*filter(None, plain), *(item for item in named if item != "restarts 0")]) + (
        f" ({wait})" if wait else ""
    )


def get_percentage(resource: Manifest) -> int:
    status = resource.get("status", {})
    return 100 if status.get("state") == "Complete" else int(status.get("progress", {}).get("percentage", 0))


def has_ended(resource: Manifest) -> bool:
    """Complete or failed, as of the spec that it has now."""
    status = resource.get("status", {})
    is_current = status.get("observedGeneration") == resource["metadata"].get("generation", 1)
    return is_current and status.get("completionTime") is not None


def find_wait(resource: Manifest) -> str:
    """The message of a state that needs an explanation, such as WaitingForDataset."""
    status = resource.get("status", {})
    if status.get("state") in {None, "Running", "Rendering", "Complete", "Failed"}:
        return ""
    conditions = {item["type"]: item for item in status.get("conditions", [])}
    return str(conditions.get("Complete", {}).get("message", ""))
