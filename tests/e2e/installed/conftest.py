"""A cluster with DeepSynth on it, and the model that an undisturbed run trains: once per session."""

from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_cluster.clusters.interface import Cluster, Faults
from deepsynth_cluster.clusters.selection import provide_cluster
from deepsynth_demo.chart import build_values, forget_users, install
from deepsynth_images.build import build_image
from deepsynth_images.recipe import CPU, GPU
from e2e.support.hub.hub_in_cluster import Hub, install_hub
from e2e.support.installation import USER_NAMESPACE, Installation
from e2e.support.lives import RunLife
from e2e.support.resources import PAGES, build_generation, build_run


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with provide_cluster() as provided:
        yield provided


@pytest.fixture(scope="session")
def values(cluster: Cluster) -> dict[str, Any]:
    """Values of the chart for images that are on the nodes."""
    operator, trainer = build_image(CPU), build_image(GPU)
    for image in (operator, trainer):
        cluster.load_image(image.path)
    return build_values(operator.reference, trainer.reference)


@pytest.fixture(scope="session")
def installation(cluster: Cluster, values: dict[str, Any]) -> Iterator[Installation]:
    """The operator, and a namespace for users with pages to train on and a GPU on each node."""
    forget_users(cluster, USER_NAMESPACE)
    install(cluster, values)
    cluster.set_gpus(1, cluster.nodes)
    installation = Installation.prepare(cluster)
    installation.api.create(build_generation("pages", PAGES))
    installation.wait_for_generation("pages", lambda item: item.status.state == "Complete", 300)
    yield installation
    # On a cluster that stays, the next session waits until the namespace is gone.
    cluster.kubectl("delete", "namespace", USER_NAMESPACE, "--wait=false")


@pytest.fixture(autouse=True)
def restored(request: pytest.FixtureRequest) -> None:
    if "installation" in request.fixturenames:
        request.getfixturevalue("installation").restore()


@pytest.fixture(scope="session")
def hub(cluster: Cluster) -> Hub:
    return install_hub(cluster)


@pytest.fixture(scope="session")
def faults(cluster: Cluster) -> Faults:
    if cluster.faults is None:
        pytest.skip("this cluster is not ours to break")
    return cluster.faults


@pytest.fixture(scope="session")
def undisturbed(installation: Installation) -> str:
    """sha256 of the weights of a run that nothing disturbs."""
    installation.restore()  # fixtures of a session come before those of a test
    life = RunLife.begin(installation.api, installation.volume, build_run("undisturbed"))
    model = life.wait_for_model()
    assert [attempt.outcome for attempt in life.run.status.attempts] == ["Succeeded"]
    return model
