"""The dashboard: off by default, reads only, and nobody reaches it but through the API server."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.helm_chart import CHART, NAMESPACE, Manifest, Rendered, render

NAME = "deepsynth-dashboard"
ON: Mapping[str, Any] = {"dashboard": {"enabled": True}}
PEER = {"podSelector": {"matchLabels": {"app": "oauth2-proxy"}}}


def find(rendered: Rendered, kind: str) -> Manifest:
    (found,) = (item for item in rendered.find_all(kind) if item["metadata"]["name"].endswith("-dashboard"))
    return found


def test_it_is_off_by_default() -> None:
    assert NAME not in render().text


def test_the_notes_say_how_to_reach_it_if_it_is_on(tmp_path: Path) -> None:
    """Helm prints notes only when it installs, so a copy of the chart has them as an object."""
    chart = shutil.copytree(CHART, tmp_path / "chart")
    notes = (chart / "templates" / "NOTES.txt").read_text()
    shown = '{kind: Notes, metadata: {name: notes}, text: {{ include "notes" . | quote }}}'
    (chart / "templates" / "notes.yaml").write_text(f'{{{{- define "notes" }}}}{notes}{{{{- end }}}}\n{shown}\n')
    line = f"kubectl --namespace {NAMESPACE} port-forward service/{NAME} 8475:80\n"

    assert line in render(ON, chart=chart).find("Notes")["text"]
    assert "port-forward" not in render(chart=chart).find("Notes")["text"]


@pytest.mark.parametrize(("namespaces", "kind"), [([], "ClusterRole"), (["team-a"], "Role")])
def test_its_role_only_reads_and_has_no_secrets(namespaces: list[str], kind: str) -> None:
    rendered = render({**ON, "watchNamespaces": namespaces})

    rules = find(rendered, kind)["rules"]

    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch"}
    resources = {resource for rule in rules for resource in rule["resources"]}
    assert resources == {"datasetgenerations", "trainingruns", "events", "pods", "pods/log"}
    binding = find(rendered, f"{kind}Binding")
    assert [subject["name"] for subject in binding["subjects"]] == [NAME]
    assert binding["roleRef"]["name"] == find(rendered, kind)["metadata"]["name"]
    assert not [item for item in rendered.find_all("ClusterRole") if namespaces and item["metadata"]["name"] == NAME]


def test_its_pod_shows_the_watched_namespaces_from_a_read_only_file_system() -> None:
    rendered = render({**ON, "watchNamespaces": ["team-a", "team-b"]})

    pod = find(rendered, "Deployment")["spec"]["template"]["spec"]

    (container,) = pod["containers"]
    assert container["command"] == ["python", "-m", "deepsynth_ui"]
    assert {item["name"]: item["value"] for item in container["env"]}["DEEPSYNTH_NAMESPACES"] == "team-a,team-b"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert pod["serviceAccountName"] == NAME
    assert "volumes" not in pod


@pytest.mark.parametrize("hosts", [[], ["pages.example.org"]])
def test_it_answers_to_the_names_of_a_port_forward_and_those_of_proxies(hosts: list[str]) -> None:
    pod = find(render({"dashboard": {"enabled": True, "hosts": hosts}}), "Deployment")["spec"]["template"]["spec"]

    values = {item["name"]: item["value"] for item in pod["containers"][0]["env"]}
    assert values["DEEPSYNTH_HTTP_HOSTS"].split(",") == ["localhost", "127.0.0.1", "::1", *hosts]


def test_claims_are_mounted_read_only_where_the_pages_look() -> None:
    pod = find(render({"dashboard": {"enabled": True, "claims": ["runs"]}}), "Deployment")["spec"]["template"]["spec"]

    mount = {"name": "claim-runs", "mountPath": "/mnt/volumes/runs", "readOnly": True}
    assert pod["containers"][0]["volumeMounts"] == [mount]
    assert pod["volumes"] == [{"name": "claim-runs", "persistentVolumeClaim": {"claimName": "runs", "readOnly": True}}]


def test_nobody_reaches_it_unless_named() -> None:
    policy = find(render(ON), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == []
    open_policy = find(render({"dashboard": {"enabled": True, "accessFrom": [PEER]}}), "NetworkPolicy")["spec"]
    assert open_policy["ingress"] == [{"ports": [{"port": "http"}], "from": [PEER]}]


def test_the_operator_s_objects_do_not_select_its_pods() -> None:
    rendered = render({**ON, "replicas": 2, "networkPolicy": {"enabled": True}})
    labels = find(rendered, "Deployment")["spec"]["template"]["metadata"]["labels"]

    def selects(selector: Mapping[str, str]) -> bool:
        return set(selector.items()) <= set(labels.items())

    for kind, path in (("Service", ""), ("Deployment", "matchLabels"), ("PodDisruptionBudget", "matchLabels")):
        for item in rendered.find_all(kind):
            selector = item["spec"]["selector"]
            is_ours = item["metadata"]["name"] == NAME
            assert selects(selector[path] if path else selector) == is_ours, (kind, item["metadata"]["name"])
    for item in rendered.find_all("NetworkPolicy"):
        assert selects(item["spec"]["podSelector"]["matchLabels"]) == (item["metadata"]["name"] == NAME)
