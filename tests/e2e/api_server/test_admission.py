"""The API server itself refuses bad resources with the field and the remedy, and admits valid ones of older shape."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client.exceptions import ApiException

from deepsynth_api.kinds import GROUP, KINDS, VERSION
from deepsynth_cluster.clusters.bare import BareCluster
from e2e.support.api import Api, Manifest
from support.resources.bad_specs import BAD_SPECS, RUNNING, STARTED, VALID, BadSpec, merge
from support.resources.older_resources import OLDER_RESOURCES

EXAMPLES = Path(__file__).parents[3] / "examples"
GOLDEN = Path(__file__).parents[2] / "golden"
NEW = [bad for bad in BAD_SPECS if not bad.has_started]
CHANGED = [bad for bad in BAD_SPECS if bad.has_started]


@pytest.fixture(scope="module")
def new(api_server: BareCluster) -> Api:
    """A namespace in which nothing is stored."""
    return create_namespace(api_server, "admission-new")


@pytest.fixture(scope="module")
def started(api_server: BareCluster) -> Api:
    """A namespace in which the valid resource of each kind has started; a second run is not suspended."""
    api = create_namespace(api_server, "admission-started")
    for resource in (*VALID.values(), merge(VALID["TrainingRun"], RUNNING)):
        api.create(resource)
        api.patch_status(resource["kind"], resource["metadata"]["name"], STARTED[resource["kind"]])
    return api


@pytest.fixture(scope="module")
def older(api_server: BareCluster) -> Api:
    return create_namespace(api_server, "admission-older")


def create_namespace(api_server: BareCluster, name: str) -> Api:
    api_server.kubectl("create", "namespace", name)
    return Api(api_server.kubeconfig, name)


def refuse_new(api: Api, resource: Manifest) -> str:
    """The message with which the API server refuses to create it."""
    plural = KINDS[resource["kind"]].plural
    with pytest.raises(ApiException) as refused:
        api.custom.create_namespaced_custom_object(
            GROUP, VERSION, api.namespace, plural, resource, dry_run="All", field_validation="Strict"
        )
    return read_message(refused.value)


def refuse_change(api: Api, resource: Manifest) -> str:
    """The message with which the API server refuses to replace the stored one by it."""
    kind, name = resource["kind"], resource["metadata"]["name"]
    version = api.get(kind, name)["metadata"]["resourceVersion"]
    changed = {**resource, "metadata": {**resource["metadata"], "resourceVersion": version}}
    with pytest.raises(ApiException) as refused:
        api.custom.replace_namespaced_custom_object(
            GROUP, VERSION, api.namespace, KINDS[kind].plural, name, changed, dry_run="All", field_validation="Strict"
        )
    return read_message(refused.value)


def read_message(error: ApiException) -> str:
    assert error.status in {400, 422}, error
    message: str = json.loads(error.body or "{}")["message"]
    return message


@pytest.mark.parametrize("bad", NEW, ids=lambda bad: bad.sentence)
def test_a_bad_spec_is_refused_with_the_field_and_the_remedy(new: Api, bad: BadSpec) -> None:
    message = refuse_new(new, bad.build())
    assert bad.field in message
    assert bad.remedy in message


@pytest.mark.parametrize("bad", CHANGED, ids=lambda bad: bad.sentence)
def test_what_a_started_resource_describes_cannot_be_changed(started: Api, bad: BadSpec) -> None:
    message = refuse_change(started, bad.build())
    assert bad.field in message
    assert bad.remedy in message


def test_a_change_is_refused_with_any_status_that_comes_with_it(started: Api) -> None:
    """The rule lets writes of status pass, which it knows by another state or time of progress."""
    (bad,) = (bad for bad in CHANGED if bad.sentence == "another seed")
    progress = {"step": 21, "updatedTime": "2026-01-01T00:20:00Z"}
    for status in ({"state": "Complete"}, {"progress": progress}, {}):
        sent = {**bad.build(), "status": {**STARTED["TrainingRun"], **status}}
        assert bad.remedy in refuse_change(started, sent)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("TrainingRun", {"suspend": False, "backoffLimit": 9, "startTimeoutSeconds": 60, "activeDeadlineSeconds": 60}),
        ("TrainingRun", {"resourcesPerNode": {"limits": {"nvidia.com/gpu": "8"}}, "ttlSecondsAfterFinished": 1}),
        ("TrainingRun", {"maxSteps": 20, "numNodes": 1, "image": "a:1", "evaluation": {"everySteps": 5}}),
        ("TrainingRun", {"maxSteps": None, "epochs": 2, "checkpoint": {"everySteps": 5, "keepLast": 1}}),
        ("DatasetGeneration", {"suspend": False, "parallelism": 9, "activeDeadlineSeconds": 60}),
    ],
)
def test_the_limits_of_a_started_resource_can_be_changed(started: Api, kind: str, change: dict[str, Any]) -> None:
    started.custom.patch_namespaced_custom_object(
        GROUP, VERSION, started.namespace, KINDS[kind].plural, "refused", {"spec": change}, dry_run="All"
    )


@pytest.mark.parametrize("sentence", OLDER_RESOURCES)
def test_a_resource_of_older_shape_is_stored_loads_and_can_be_changed(older: Api, sentence: str) -> None:
    resource = OLDER_RESOURCES[sentence]
    kind, name = resource["kind"], resource["metadata"]["name"]
    older.create(resource)
    try:
        if "status" in resource:
            older.patch_status(kind, name, resource["status"])
        older.patch_spec(kind, name, suspend=True)
        assert KINDS[kind].resource.model_validate(older.get(kind, name)).spec.suspend
    finally:
        older.delete(kind, name)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_children_of_a_resource_are_accepted(api_server: BareCluster, path: Path) -> None:
    """Those with every field of the template set, too. PodGroups need CRDs or alpha features."""
    children = [item for item in yaml.safe_load_all(path.read_text()) if item["kind"] != "PodGroup"]
    api_server.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", input=yaml.safe_dump_all(children))


def test_every_example_is_admitted(api_server: BareCluster) -> None:
    folders = [EXAMPLES, EXAMPLES / "cluster"]
    arguments = [argument for folder in folders for argument in ("-f", str(folder))]
    output = api_server.kubectl("create", "--dry-run=server", *arguments).stdout.splitlines()
    assert len([line for line in output if "deepsynth.io/" in line]) >= len(list(EXAMPLES.glob("*.yaml")))


def test_a_new_resource_has_a_status_that_no_gitops_tool_takes_for_done(older: Api) -> None:
    done = {**VALID["TrainingRun"], "status": {"observedGeneration": 1, "state": "Complete"}}
    older.create(done)
    status = older.get("TrainingRun", done["metadata"]["name"])["status"]
    assert status["observedGeneration"] == -1
    assert not status.keys() & {"state", "conditions"}
