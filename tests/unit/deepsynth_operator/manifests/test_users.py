"""Which user the pods of Jobs run as."""

from typing import Any

import pytest

from deepsynth_operator.core.settings import Settings
from deepsynth_operator.manifests.children import build_children
from support.resources.builders import a_dataset_generation, a_training_run

NAMES = ("runAsUser", "runAsGroup", "fsGroup")


def build_security_context(settings: Settings, template: dict[str, Any], kind: str) -> dict[str, Any]:
    """That of the pods of a run's Job, or of a generation's plan."""
    started = "2026-01-02T03:04:05Z"
    if kind == "TrainingRun":
        attempt = {"number": 1, "startTime": started, "job": "job", "image": "gpu"}
        run = a_training_run().with_spec(template=template)
        pinned = [{"name": "pages", "uri": "pvc://data/pages"}]
        resource: Any = run.with_status(datasets=pinned, attempts=[attempt]).build()
    else:
        entry = {"name": "job", "step": "plan", "startTime": started, "image": "cpu"}
        resource = a_dataset_generation().with_spec(template=template).with_status(jobs=[entry]).build()
    context: dict[str, Any] = build_children(resource, "job", settings)[-1]["spec"]["template"]["spec"][
        "securityContext"
    ]
    return context


@pytest.mark.parametrize("kind", ["TrainingRun", "DatasetGeneration"])
def test_the_namespace_of_openshift_chooses_the_user_unless_the_resource_names_one(kind: str) -> None:
    usual = build_security_context(Settings(), {}, kind)
    assert [usual[name] for name in NAMES] == [65532] * 3
    chosen = build_security_context(Settings(openshift=True), {}, kind)
    assert chosen == {name: value for name, value in usual.items() if name not in NAMES}
    named = build_security_context(Settings(openshift=True), {"runAsUser": 1000}, kind)
    assert [named[name] for name in NAMES] == [1000] * 3
