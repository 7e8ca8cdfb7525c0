"""The API server itself refuses bad resources, with the field and the remedy, and takes valid ones of older shape."""

import json
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.kinds import KINDS
from deepsynth_cluster.clients import Clients
from support.bad_specs import BAD_SPECS, STARTED, VALID, BadSpec
from support.older_resources import OLDER_RESOURCES

EXAMPLES = Path(__file__).parents[2] / "examples"
NEW = [bad for bad in BAD_SPECS if not bad.has_started]
CHANGED = [bad for bad in BAD_SPECS if bad.has_started]


@pytest.fixture(scope="module")
def started(api_server: Clients) -> str:
    """A namespace in which the valid resource of each kind has started."""
    namespace = "admission-started"
    api_server.kubectl("create", "namespace", namespace)
    for resource in VALID.values():
        api_server.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(resource))
        write_status(api_server, namespace, resource, STARTED)
    return namespace


@pytest.fixture(scope="module")
def older(api_server: Clients) -> str:
    namespace = "admission-older"
    api_server.kubectl("create", "namespace", namespace)
    return namespace


def write_status(api_server: Clients, namespace: str, resource: dict[str, Any], status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    kind, name = resource["kind"], resource["metadata"]["name"]
    api_server.kubectl("patch", kind, name, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)


def refuse(api_server: Clients, verb: str, bad: BadSpec, *arguments: str) -> str:
    done = api_server.kubectl(
        verb, "--dry-run=server", *arguments, "-f", "-", input=json.dumps(bad.build()), check=False
    )
    assert done.returncode != 0, "it was admitted"
    return done.stderr


@pytest.mark.parametrize("bad", NEW, ids=lambda bad: bad.sentence)
def test_a_bad_spec_is_refused_with_the_field_and_the_remedy(api_server: Clients, bad: BadSpec) -> None:
    said = refuse(api_server, "create", bad)
    assert bad.field in said
    assert bad.remedy in said


@pytest.mark.parametrize("bad", CHANGED, ids=lambda bad: bad.sentence)
def test_what_a_started_resource_describes_cannot_be_changed(api_server: Clients, started: str, bad: BadSpec) -> None:
    said = refuse(api_server, "replace", bad, "-n", started)
    assert bad.field in said
    assert bad.remedy in said


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("TrainingRun", {"suspend": False, "backoffLimit": 9, "startTimeoutSeconds": 60, "activeDeadlineSeconds": 60}),
        ("TrainingRun", {"resourcesPerNode": {"limits": {"nvidia.com/gpu": "8"}}, "ttlSecondsAfterFinished": 1}),
        ("DatasetGeneration", {"suspend": False, "parallelism": 9, "activeDeadlineSeconds": 60}),
    ],
)
def test_the_limits_of_a_started_resource_can_be_changed(
    api_server: Clients, started: str, kind: str, change: dict[str, Any]
) -> None:
    patch = json.dumps({"spec": change})
    api_server.kubectl("patch", kind, "refused", "-n", started, "--dry-run=server", "--type=merge", "-p", patch)


@pytest.mark.parametrize("sentence", OLDER_RESOURCES)
def test_a_resource_of_older_shape_is_stored_loads_and_can_be_changed(
    api_server: Clients, older: str, sentence: str
) -> None:
    resource = OLDER_RESOURCES[sentence]
    kind, name = resource["kind"], resource["metadata"]["name"]
    api_server.kubectl("create", "-n", older, "-f", "-", input=json.dumps(resource))
    try:
        if "status" in resource:
            write_status(api_server, older, resource, resource["status"])
        patch = ("--type=merge", "-p", json.dumps({"spec": {"suspend": True}}))
        api_server.kubectl("patch", kind, name, "-n", older, *patch)
        stored = json.loads(api_server.kubectl("get", kind, name, "-n", older, "-o", "json").stdout)
        assert KINDS[kind].resource.model_validate(stored).spec.suspend
    finally:
        api_server.kubectl("delete", kind, name, "-n", older)


def test_every_example_is_admitted(api_server: Clients) -> None:
    said = api_server.kubectl("create", "--dry-run=server", "--recursive", "-f", str(EXAMPLES)).stdout.splitlines()
    assert len([line for line in said if "deepsynth.io/" in line]) >= len(list(EXAMPLES.glob("*.yaml")))


def test_a_new_resource_has_a_status_that_no_gitops_tool_takes_for_done(api_server: Clients, older: str) -> None:
    done = {**VALID["TrainingRun"], "status": {"observedGeneration": 1, "state": "Complete"}}
    created = api_server.kubectl("create", "-n", older, "-o", "json", "-f", "-", input=json.dumps(done))
    status = json.loads(created.stdout)["status"]
    assert status["observedGeneration"] == -1
    assert not status.keys() & {"state", "conditions"}
