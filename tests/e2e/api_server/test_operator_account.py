"""With the rights of the chart's account, the operator completes both kinds and no request is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.selection import temporary_cluster
from deepsynth_demo.chart import apply_all, create_restricted_namespace
from e2e.support.api import Api, wait_until
from e2e.support.fake_pods import play_pods
from e2e.support.operator_process import run_operator
from e2e.support.resources import build_generation, build_run
from support.helm_chart import Rendered, render

USERS, ELSEWHERE = "ml", "elsewhere"
NAMESPACED = {"watchNamespaces": [USERS], "replicas": 2}
"""With a Lease, as with several replicas."""


@pytest.fixture(scope="module")
def control_plane() -> Iterator[BareCluster]:
    with temporary_cluster("account", nodes=0) as cluster:
        yield cluster


def write_kubeconfig(cluster: BareCluster, rendered: Rendered, path: Path) -> Path:
    """A copy of the administrator's kubeconfig with a token of the operator's account."""
    account = rendered.find("ServiceAccount")["metadata"]
    token = cluster.kubectl("create", "token", account["name"], "--namespace", account["namespace"]).stdout.strip()
    config = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json").stdout)
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize("values", [{}, NAMESPACED], ids=["cluster", "namespaced"])
def test_its_rights_suffice_for_both_kinds(control_plane: BareCluster, values: dict[str, Any], tmp_path: Path) -> None:
    namespace = f"system-{len(values)}"
    for name in (namespace, USERS, ELSEWHERE):
        create_restricted_namespace(control_plane, name)
    rendered = render(values, namespace=namespace)
    apply_all(control_plane, None, *rendered.find_all("CustomResourceDefinition"))
    apply_all(control_plane, None, *(found for found in rendered.objects if found["kind"] != "Deployment"))
    kubeconfig = write_kubeconfig(control_plane, rendered, tmp_path / "kubeconfig")
    api, name = Api(control_plane.kubeconfig, USERS), f"life-{len(values)}"
    elsewhere = Api(control_plane.kubeconfig, ELSEWHERE)
    variables = {key: value for key, value in rendered.environment.items() if key != "DEEPSYNTH_HTTP_ADDRESS"}
    with run_operator(kubeconfig, tmp_path / "operator.log", variables) as operator, play_pods(api):
        elsewhere.create(build_generation(name, "pvc://claim/pages", suspend=True))
        api.create(build_generation(name, "pvc://claim/pages", parallelism=2))
        api.create(build_run(name))
        api.patch_spec("DatasetGeneration", name, parallelism=3)
        read_log = (tmp_path / "operator.log").read_text
        wait_until("both to be Complete", lambda: read_states(api, name) == {"Complete"}, 120, read_log)
        assert elsewhere.get_generation(name).status.state == (None if values else "Suspended")
        assert 'code="403"' not in operator.read_metrics()
        assert 'code="200"' in operator.read_metrics()


def read_states(api: Api, name: str) -> set[str | None]:
    """Of the generation and of the run of this name."""
    return {api.get_generation(name).status.state, api.get_run(name).status.state}
