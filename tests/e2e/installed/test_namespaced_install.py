"""With rights in one namespace only: from `helm install` to a published dataset, at the restricted level."""

from collections.abc import Iterator

import pytest

from deepsynth_cluster.clusters.selection import temporary_cluster
from deepsynth_demo.chart import RELEASE, SYSTEM_NAMESPACE, build_values, create_restricted_namespace, install
from deepsynth_images.build import build_image
from deepsynth_images.recipe import CPU
from e2e.support.api import Api
from e2e.support.installation import Installation
from e2e.support.resources import PAGES, build_generation

pytestmark = pytest.mark.slow
TEAM, OTHER_TEAM = "team-a", "team-b"
METRICS = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/services/{RELEASE}:http/proxy/metrics"
NAMESPACED = {
    "watchNamespaces": [TEAM],
    "rbac.readNodes": False,
    "rbac.aggregate": False,
    "networkPolicy.enabled": True,
    "logging.format": "json",
}


@pytest.fixture
def team() -> Iterator[Installation]:
    """On a cluster of its own, where no operator has rights in the whole cluster."""
    image = build_image(CPU)
    with temporary_cluster("namespaced", nodes=1) as cluster:
        cluster.load_image(image.path)
        installation = Installation.prepare(cluster, TEAM)
        create_restricted_namespace(cluster, OTHER_TEAM)
        install(cluster, build_values(image.reference, image.reference) | NAMESPACED)
        yield installation


def test_a_team_s_operator_works_in_its_namespace_and_sees_no_other(team: Installation) -> None:
    elsewhere = Api(team.cluster.kubeconfig, OTHER_TEAM)
    elsewhere.create(build_generation("unseen", PAGES))
    team.api.create(build_generation("pages", PAGES))
    done = team.wait_for_generation("pages", lambda item: item.status.state == "Complete", 240)
    assert done.status.progress is not None
    assert done.status.progress.shards_done == 4
    assert (team.volume / "pages/deepsynth/manifest.json").exists()
    assert elsewhere.get_generation("unseen").status.state is None
    assert elsewhere.list_children(elsewhere.get("DatasetGeneration", "unseen")["metadata"]["uid"]) == []
    metrics = team.cluster.kubectl("get", "--raw", METRICS).stdout
    assert 'deepsynth_api_requests_total{code="201",resource="jobs",verb="create"} 3.0' in metrics
    assert 'code="403"' not in metrics
    assert team.cluster.kubectl("get", "clusterroles", "-o", "name").stdout.count(RELEASE) == 0
