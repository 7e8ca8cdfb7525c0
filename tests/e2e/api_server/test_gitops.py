"""What GitOps tools and kubectl do with both kinds on a real API server. Status writes play the operator."""

import json
from pathlib import Path
from typing import Any

import pytest

from deepsynth_cluster.clusters.clients import Clients
from support.gitops.argocd import SCRIPT
from support.gitops.kstatus import judge
from support.resources.bad_specs import VALID

RUN = {**VALID["TrainingRun"], "metadata": {"name": "read-xsum"}}
NAME = "trainingrun/read-xsum"


@pytest.fixture
def namespace(api_server: Clients, request: pytest.FixtureRequest) -> str:
    """A namespace for this test alone."""
    name: str = request.node.name.replace("_", "-").partition("[")[0][-50:].strip("-")
    api_server.kubectl("create", "namespace", name)
    return name


def apply(api_server: Clients, namespace: str, manager: str, manifest: dict[str, Any]) -> str:
    """Server-side apply without force. Raises when another manager owns a field that would change."""
    arguments = ("apply", "--server-side", f"--field-manager={manager}", "-n", namespace, "-f", "-")
    return api_server.kubectl(*arguments, input=json.dumps(manifest)).stdout


def read(api_server: Clients, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        api_server.kubectl("get", NAME, "-n", namespace, "-o", "json", "--show-managed-fields").stdout
    )
    return found


def write_status(api_server: Clients, namespace: str, state: str, condition: str = "Complete") -> None:
    """As the operator does: the whole status, from the version that was read."""
    run = read(api_server, namespace)
    held = {"type": condition, "status": "True" if state == condition else "False", "reason": state}
    held |= {"lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": run["metadata"]["generation"]}
    status = {"observedGeneration": run["metadata"]["generation"], "state": state, "conditions": [held]}
    if state in {"Complete", "Failed"}:
        status["completionTime"] = "2026-01-02T04:04:05Z"
    arguments = ("replace", "--subresource=status", "--field-manager=deepsynth-operator", "-n", namespace, "-f", "-")
    del run["metadata"]["managedFields"]
    api_server.kubectl(*arguments, input=json.dumps({**run, "status": status}))


def test_a_gitops_tool_another_manager_and_the_operator_share_a_run_without_conflict(
    api_server: Clients, namespace: str
) -> None:
    frame = {"apiVersion": RUN["apiVersion"], "kind": RUN["kind"]}
    labels = {"kueue.x-k8s.io/queue-name": "team", "cost-centre": "7"}
    apply(api_server, namespace, "gitops", RUN)
    apply(api_server, namespace, "labels", {**frame, "metadata": {"name": "read-xsum", "labels": labels}})
    write_status(api_server, namespace, "Running")

    apply(api_server, namespace, "gitops", {**RUN, "spec": {**RUN["spec"], "backoffLimit": 7}})
    del labels["cost-centre"]
    apply(api_server, namespace, "labels", {**frame, "metadata": {"name": "read-xsum", "labels": labels}})
    write_status(api_server, namespace, "Complete")

    run = read(api_server, namespace)
    assert run["spec"]["backoffLimit"] == 7
    assert run["metadata"]["labels"] == labels
    assert run["status"]["state"] == "Complete"
    assert {entry["manager"]: sorted(entry["fieldsV1"]) for entry in run["metadata"]["managedFields"]} == {
        "gitops": ["f:spec"],
        "labels": ["f:metadata"],
        "deepsynth-operator": ["f:status"],
    }


def test_a_field_that_the_gitops_tool_owns_is_not_taken_from_it_by_accident(
    api_server: Clients, namespace: str
) -> None:
    apply(api_server, namespace, "gitops", RUN)
    with pytest.raises(Exception, match=r'conflict with "gitops": \.spec\.numNodes'):
        apply(api_server, namespace, "other", {**RUN, "spec": {**RUN["spec"], "numNodes": 3}})


def test_applying_the_same_again_writes_nothing_and_shows_no_difference(api_server: Clients, namespace: str) -> None:
    apply(api_server, namespace, "gitops", RUN)
    write_status(api_server, namespace, "Running")
    before = read(api_server, namespace)["metadata"]["resourceVersion"]

    apply(api_server, namespace, "gitops", RUN)
    assert read(api_server, namespace)["metadata"]["resourceVersion"] == before
    arguments = ("diff", "--server-side", "--field-manager=gitops", "-n", namespace, "-f", "-")
    assert api_server.kubectl(*arguments, input=json.dumps(RUN)).stdout == ""


def test_a_run_is_in_progress_from_its_creation_and_after_each_change_until_the_operator_saw_it(
    api_server: Clients, namespace: str
) -> None:
    apply(api_server, namespace, "gitops", RUN)
    assert judge(read(api_server, namespace)) == "InProgress"
    write_status(api_server, namespace, "Running")
    assert judge(read(api_server, namespace)) == "Current"
    apply(api_server, namespace, "gitops", {**RUN, "spec": {**RUN["spec"], "suspend": False}})
    assert judge(read(api_server, namespace)) == "InProgress"


def test_kubectl_wait_returns_when_the_run_is_complete_and_not_before(api_server: Clients, namespace: str) -> None:
    apply(api_server, namespace, "gitops", RUN)
    wait = ("wait", "--for=condition=Complete", NAME, "-n", namespace)
    write_status(api_server, namespace, "Running")
    early = api_server.kubectl(*wait, "--timeout=1s", check=False)
    assert (early.returncode, "timed out" in early.stderr) == (1, True)
    write_status(api_server, namespace, "Complete")
    assert "condition met" in api_server.kubectl(*wait, "--timeout=30s").stdout


def test_kubectl_wait_distinguishes_a_failed_run_from_a_running_one(api_server: Clients, namespace: str) -> None:
    apply(api_server, namespace, "gitops", RUN)
    wait = ("wait", "--for=jsonpath={.status.completionTime}", NAME, "-n", namespace)
    write_status(api_server, namespace, "Running")
    assert api_server.kubectl(*wait, "--timeout=1s", check=False).returncode == 1
    write_status(api_server, namespace, "Failed")
    assert "condition met" in api_server.kubectl(*wait, "--timeout=30s").stdout
    complete = ("wait", "--for=condition=Complete", NAME, "-n", namespace, "--timeout=0")
    assert api_server.kubectl(*complete, check=False).returncode == 1


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("trainingrun", "Fine-tunes a vision-language model on page images"),
        ("trun.spec.optimizer.learningRate", "Default: 0.0002."),
        ("trun.spec.hangTimeoutSeconds", "Seconds without progress"),
        ("trun.spec.template.env.valueFrom", "such as a key of a Secret"),
        ("trun.status.attempts.outcome", "Succeeded Failed Disrupted Suspended Hung"),
        ("dsg.spec.page.size", "WIDTHxHEIGHT"),
        ("dsg.spec.preset", "cnn_dailymail"),
    ],
)
def test_kubectl_explain_describes_each_field(api_server: Clients, field: str, words: str) -> None:
    assert words in " ".join(api_server.kubectl("explain", field).stdout.split())


def test_runs_are_listed_by_their_state(api_server: Clients, namespace: str) -> None:
    apply(api_server, namespace, "gitops", RUN)
    write_status(api_server, namespace, "Running")
    listing = ("get", "trun", "-n", namespace, "-o", "name", "--field-selector")
    assert api_server.kubectl(*listing, "status.state=Running").stdout == "trainingrun.deepsynth.io/read-xsum\n"
    assert api_server.kubectl(*listing, "status.state=Failed").stdout == ""


def test_the_health_script_joins_what_argo_cds_settings_hold(
    api_server: Clients, namespace: str, tmp_path: Path
) -> None:
    """The commands of docs/tasks/gitops.md."""
    api_server.kubectl(
        "create", "configmap", "argocd-cm", "-n", namespace, "--from-literal=url=https://argo.example.com"
    )
    keys = [f"resource.customizations.health.deepsynth.io_{kind}" for kind in VALID]
    made = api_server.kubectl(
        "create",
        "configmap",
        "argocd-cm",
        "--dry-run=client",
        "-o",
        "yaml",
        *(f"--from-file={key}={SCRIPT}" for key in keys),
    )
    apply_arguments = ("apply", "--server-side", "--field-manager=deepsynth", "-n", namespace, "-f", "-")
    api_server.kubectl(*apply_arguments, input=made.stdout)
    data = json.loads(api_server.kubectl("get", "configmap", "argocd-cm", "-n", namespace, "-o", "json").stdout)["data"]
    assert data["url"] == "https://argo.example.com"
    assert [data[key] for key in keys] == [SCRIPT.read_text(encoding="utf-8")] * 2
