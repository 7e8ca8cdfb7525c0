"""The chart on an API server: installed, compared, upgraded, removed and installed again. No pod runs here."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_cluster.clusters.selection import temporary_cluster
from deepsynth_demo.chart import create_restricted_namespace
from e2e.support.resources import build_generation, build_run
from support.helm_chart import CHART, EVERYTHING_ON, NAMESPACE, merge, render_text

pytestmark = pytest.mark.slow
MONITORING_OFF: dict[str, Any] = merge(
    EVERYTHING_ON, {"metrics": {name: {"enabled": False} for name in EVERYTHING_ON["metrics"]}}
)
"""These kinds belong to the Prometheus Operator, which is not installed."""
USERS = "ml"
CRDS = ("datasetgenerations.deepsynth.io", "trainingruns.deepsynth.io")
RELEASE = "deepsynth"


@pytest.fixture(scope="module")
def control_plane() -> Iterator[BareCluster]:
    with temporary_cluster("chart", nodes=0) as cluster:
        for namespace in (NAMESPACE, USERS):
            create_restricted_namespace(cluster, namespace)
        yield cluster


@pytest.fixture
def empty(control_plane: BareCluster) -> Iterator[BareCluster]:
    """A control plane without anything of DeepSynth, before and after the test."""
    yield control_plane
    for release in list_releases(control_plane):
        helm(control_plane, "uninstall", release)
    control_plane.kubectl("delete", "--ignore-not-found", "-f", "-", input=render_text(MONITORING_OFF))


@pytest.fixture
def installed(empty: BareCluster) -> BareCluster:
    """A control plane with the chart and one resource of each kind."""
    helm(empty, "install", RELEASE, str(CHART))
    resources = [build_run("kept"), build_generation("kept", "pvc://claim/pages")]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": resources})
    empty.kubectl("--namespace", USERS, "apply", "-f", "-", input=document)
    return empty


def helm(cluster: Cluster, verb: str, *arguments: str, values: dict[str, Any] | None = None) -> None:
    settings = [f"--set-json={key}={json.dumps(value)}" for key, value in (values or {}).items()]
    cluster.helm(verb, *arguments, "--namespace", NAMESPACE, *settings)


def list_releases(cluster: Cluster) -> list[str]:
    return cluster.helm("list", "--short", "--namespace", NAMESPACE).stdout.split()


def read_identities(cluster: Cluster) -> dict[str, str]:
    """uid and generation of the resources and of what defines them."""
    resources = json.loads(cluster.kubectl("get", "trun,dsg", "--namespace", USERS, "-o", "json").stdout)["items"]
    definitions = json.loads(cluster.kubectl("get", "crd", *CRDS, "-o", "json").stdout)["items"]
    return {
        f"{item['kind']}/{item['metadata']['name']}": f"{item['metadata']['uid']} {item['metadata'].get('generation')}"
        for item in [*resources, *definitions]
    }


@pytest.mark.parametrize(
    "values", [{}, MONITORING_OFF, {"watchNamespaces": [USERS]}], ids=["default", "all", "namespaced"]
)
def test_what_was_installed_is_what_is_rendered(empty: BareCluster, values: dict[str, Any]) -> None:
    """A GitOps tool would report it as in sync, with either way of applying."""
    helm(empty, "install", RELEASE, str(CHART), values=values)
    manifests = render_text(values)
    for way in ([], ["--server-side", "--force-conflicts"]):
        compared = empty.kubectl("diff", *way, "-f", "-", input=manifests, check=False)
        assert (compared.returncode, compared.stdout) == (0, ""), compared.stdout + compared.stderr


def test_applying_twice_changes_nothing(empty: BareCluster) -> None:
    manifests = render_text(MONITORING_OFF)
    apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    empty.kubectl(*apply, input=manifests)
    before = read_versions(empty, manifests)
    empty.kubectl(*apply, input=manifests)
    assert read_versions(empty, manifests) == before


def read_versions(cluster: Cluster, manifests: str) -> dict[str, str]:
    """The generation of each object, or its resourceVersion where it has none."""
    found = json.loads(cluster.kubectl("get", "-f", "-", "-o", "json", input=manifests).stdout)["items"]
    metadata = {f"{item['kind']}/{item['metadata']['name']}": item["metadata"] for item in found}
    return {name: str(item.get("generation") or item["resourceVersion"]) for name, item in metadata.items()}


def test_an_upgrade_keeps_definitions_and_resources(installed: BareCluster) -> None:
    before = read_identities(installed)
    helm(
        installed, "upgrade", RELEASE, str(CHART), values={"logging.format": "json", "commonLabels": {"team": "vision"}}
    )
    assert read_identities(installed) == before


def test_uninstalling_keeps_them_and_installing_again_adopts_them(installed: BareCluster) -> None:
    before = read_identities(installed)
    helm(installed, "uninstall", RELEASE)
    assert read_identities(installed) == before
    assert (
        installed.kubectl(
            "get", "deployments,serviceaccounts,roles", "-l", "app.kubernetes.io/part-of=deepsynth", "-A", "-o", "name"
        ).stdout
        == ""
    )
    helm(installed, "install", RELEASE, str(CHART))
    assert read_identities(installed) == before


def test_a_release_of_another_name_can_take_ownership(installed: BareCluster) -> None:
    before = read_identities(installed)
    helm(installed, "uninstall", RELEASE)
    refused = installed.helm("install", "other", str(CHART), "--namespace", NAMESPACE, check=False)
    assert "trainingruns.deepsynth.io" in refused.stderr or "datasetgenerations.deepsynth.io" in refused.stderr
    helm(installed, "install", "other", str(CHART), "--take-ownership")
    assert read_identities(installed) == before


def test_without_keep_uninstalling_removes_them(installed: BareCluster) -> None:
    helm(installed, "upgrade", RELEASE, str(CHART), values={"crds.keep": False})
    helm(installed, "uninstall", RELEASE, "--wait")
    assert installed.kubectl("get", "crd", "-o", "name").stdout == ""


def test_two_releases_share_a_cluster_when_each_has_its_namespaces(installed: BareCluster) -> None:
    create_restricted_namespace(installed, "team-b")
    own = {"watchNamespaces": ["team-b"], "crds.enabled": False}
    settings = [f"--set-json={key}={json.dumps(value)}" for key, value in own.items()]
    installed.helm("install", RELEASE, str(CHART), "--namespace", "team-b", *settings)
    installed.helm("uninstall", RELEASE, "--namespace", "team-b", "--wait")


def test_the_api_server_would_let_the_pod_into_a_restricted_namespace(installed: BareCluster) -> None:
    deployment = json.loads(
        installed.kubectl("get", "deployment", RELEASE, "--namespace", NAMESPACE, "-o", "json").stdout
    )
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "operator"},
        "spec": deployment["spec"]["template"]["spec"],
    }
    dry = ("create", "--dry-run=server", "--namespace", NAMESPACE, "-f", "-")
    created = installed.kubectl(*dry, input=json.dumps(pod))
    assert "violate" not in created.stderr
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    refused = installed.kubectl(*dry, input=json.dumps(pod), check=False)
    assert "allowPrivilegeEscalation" in refused.stderr
