"""Who may open connections to the pods of a resource."""

from typing import Any

from deepsynth_api.v1alpha1 import Attempt, Resource, TrainingRun
from deepsynth_api.workload import REPORT_PORT
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.manifests.children import build_children
from deepsynth_operator.manifests.network_policy import build_network_policy
from support.resources.builders import a_dataset_generation, a_training_run

PEER = {"podSelector": {"matchLabels": {"app": "operator"}}}
JOB = "read-xsum-train-1"


def a_run(uid: str = "u1", **spec: Any) -> TrainingRun:
    attempt = {"number": 1, "startTime": "2026-01-02T03:04:05Z", "job": JOB, "image": "gpu"}
    builder = a_training_run().named("read-xsum", uid=uid).with_spec(**spec)
    pinned = [{"name": "pages", "uri": "pvc://data/pages"}]
    return builder.with_status(datasets=pinned, attempts=[Attempt.model_validate(attempt)]).build()


def build_pod_labels(run: TrainingRun) -> dict[str, str]:
    labels: dict[str, str] = build_children(run, JOB, Settings())[-1]["spec"]["template"]["metadata"]["labels"]
    return labels


def selects(selector: Any, labels: dict[str, str]) -> bool:
    return bool(selector["matchLabels"].items() <= labels.items())


def build_spec(resource: Resource, *peers: Any) -> Any:
    return build_network_policy(resource, peers)["spec"]


def test_pods_of_a_run_reach_each_other_and_those_of_another_run_do_not() -> None:
    run, other = a_run(), a_run("u2")
    spec = build_spec(run, PEER)
    ((peer,),) = [rule["from"] for rule in spec["ingress"] if "ports" not in rule]
    assert selects(spec["podSelector"], build_pod_labels(run))
    assert selects(peer["podSelector"], build_pod_labels(run))
    assert not selects(peer["podSelector"], build_pod_labels(other))
    assert set(peer) == {"podSelector"}, "without a namespaceSelector, only pods of the same namespace are meant"


def test_peers_reach_the_report_port_only() -> None:
    (rule,) = [rule for rule in build_spec(a_run(), PEER)["ingress"] if "ports" in rule]
    assert rule == {"ports": [{"protocol": "TCP", "port": REPORT_PORT}], "from": [PEER]}


def test_without_peers_everyone_reaches_the_report_port() -> None:
    (rule,) = [rule for rule in build_spec(a_run())["ingress"] if "ports" in rule]
    assert "from" not in rule


def test_a_run_and_a_generation_of_the_same_name_have_different_policies() -> None:
    generation = a_dataset_generation().named("read-xsum", uid="u2").build()
    names = {build_network_policy(resource, [])["metadata"]["name"] for resource in (a_run(), generation)}
    assert names == {"read-xsum-trainingrun", "read-xsum-datasetgeneration"}


def test_the_policy_is_the_first_child_and_only_if_there_are_peers() -> None:
    kinds = [child["kind"] for child in build_children(a_run(), JOB, Settings(report_peers=()))]
    assert kinds == ["NetworkPolicy", *(child["kind"] for child in build_children(a_run(), JOB, Settings()))]
