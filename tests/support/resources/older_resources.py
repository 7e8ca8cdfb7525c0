"""Resources as earlier versions stored them: they must load, and the controller must continue with them.

OLDER_RESOURCES: minimal ones, from before a field had a default, a limit or a rule.
load_recording: whole ones with their children, as recorded in tests/fixtures/older_resources.
"""

from pathlib import Path
from typing import Any, Final

import yaml

RECORDINGS: Final = Path(__file__).parents[2] / "fixtures" / "older_resources"


def load_recording(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The resource, and the children that existed."""
    resource, *children = yaml.safe_load_all((RECORDINGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return resource, children


def _resource(kind: str, spec: dict[str, Any], status: dict[str, Any] | None = None) -> dict[str, Any]:
    frame = {"apiVersion": "deepsynth.io/v1alpha1", "kind": kind, "metadata": {"name": "older"}, "spec": spec}
    return {**frame, **({"status": status} if status else {})}


def _run(**spec: Any) -> dict[str, Any]:
    minimal = {
        "model": {"uri": "config://vit-gpt2-tiny"},
        "datasets": [{"name": "pages", "uri": "pvc://data/pages"}],
        "checkpoint": {"uri": "pvc://checkpoints/older"},
    }
    return _resource("TrainingRun", minimal | spec)


def _generation(**spec: Any) -> dict[str, Any]:
    return _resource(
        "DatasetGeneration", {"source": {"uri": "docstrings://"}, "output": {"uri": "pvc://data/older"}} | spec
    )


_CONDITION: Final = {
    "type": "Complete",
    "status": "False",
    "reason": "Running",
    "message": "",
    "lastTransitionTime": "2026-01-02T03:04:05Z",
}

OLDER_RESOURCES: Final[dict[str, dict[str, Any]]] = {
    "a run with only what it must have": _run(),
    "a generation with only what it must have": _generation(),
    "a generation of a preset": _resource("DatasetGeneration", {"preset": "xsum", "output": {"uri": "file:///data"}}),
    "a run without numbers of anything": _run(resourcesPerNode={}, template={}, optimizer={}, evaluation={}, cache={}),
    "a generation with empty sections": _generation(page={}, filters={}, template={}),
    "empty lists and maps": _run(
        tracking=[], template={"labels": {}, "env": [], "volumes": []}, model={"uri": "hf://a/b", "freeze": []}
    ),
    "nulls where nothing was set": _run(image=None, prompt=None, epochs=None, publish=None),
    "quantities as numbers": _run(
        resourcesPerNode={"limits": {"cpu": 4, "nvidia.com/gpu": 2}}, cache={"sizeLimit": 1073741824}
    ),
    "quantities as strings": _run(
        resourcesPerNode={"limits": {"cpu": "500m", "memory": "1.5Gi", "nvidia.com/gpu": "2"}}
    ),
    "a tracker and nothing to check it by": _run(tracking=[{"wandb": {"project": "older"}}]),
    "a run that had a status without the newer fields": _resource(
        "TrainingRun",
        _run()["spec"],
        {
            "observedGeneration": 1,
            "state": "Running",
            "startTime": "2026-01-02T03:04:05Z",
            "conditions": [_CONDITION],
            "datasets": [{"name": "pages", "uri": "pvc://data/pages"}],
            "attempts": [{"number": 1, "startTime": "2026-01-02T03:04:05Z", "job": "older-train-1"}],
        },
    ),
    "a generation that had a status without the newer fields": _resource(
        "DatasetGeneration",
        _generation()["spec"],
        {
            "observedGeneration": 1,
            "state": "Rendering",
            "startTime": "2026-01-02T03:04:05Z",
            "conditions": [_CONDITION],
            "plan": {"revision": "r", "digest": "d", "splits": [{"name": "train", "rows": 1}], "shards": 1},
            "jobs": [{"step": "plan", "name": "older-plan-1", "startTime": "2026-01-02T03:04:05Z"}],
        },
    ),
}
