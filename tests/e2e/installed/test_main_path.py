"""`helm install`, `kubectl apply -f examples/cluster/`: pages on a Hub and on a volume, a model from two nodes."""

import re
from pathlib import Path

import pytest

from e2e.support.histories import record_history
from e2e.support.hub.hub_in_cluster import Hub
from e2e.support.installation import Installation
from e2e.support.lives import RunLife, describe
from e2e.support.resources import build_generation, build_run

EXAMPLES = Path(__file__).parents[3] / "examples"
COLUMNS = "NAME STATE PROGRESS STEP LOSS ETA CHECKPOINT RESTARTS AGE"
WIDE_COLUMNS = f"{COLUMNS} BEST NODES DATASET SAMPLES/S MODEL REASON"
MAX_STATUS_WRITES = 60
RENDER_SECONDS = 600


def test_the_examples_become_pages_and_a_model(installation: Installation, hub: Hub) -> None:
    cluster, api = installation.cluster, installation.api
    hub.create_secret(api.namespace, "hugging-face", "deepsynth/docstrings-pages")
    with record_history(api, "TrainingRun", "read-docstrings") as history:
        cluster.kubectl("-n", api.namespace, "apply", "-f", str(EXAMPLES / "cluster"))
        on_the_hub = (EXAMPLES / "dataset-on-the-hub.yaml").read_text().replace("YOUR-NAME", "deepsynth")
        cluster.kubectl("-n", api.namespace, "apply", "-f", "-", input=on_the_hub)
        life = RunLife(api, "read-docstrings", installation.volume)
        life.wait_for_state("WaitingForDataset")
        for name in ("docstrings", "docstrings-on-the-hub"):
            generation = installation.wait_for_generation(name, lambda item: item.status.state == "Complete", 600)
            assert generation.status.plan is not None
            assert generation.status.plan.shards == 4, describe(generation)
        life.wait_for("a loss", lambda run: run.status.summary.loss != "")
        running = cluster.kubectl("-n", api.namespace, "get", "trainingruns").stdout
        wide = cluster.kubectl("-n", api.namespace, "get", "trainingruns", "-o", "wide").stdout
        life.wait_for_model()
    print(running, wide, sep="\n")
    assert running.splitlines()[0].split() == COLUMNS.split()
    assert wide.splitlines()[0].split() == WIDE_COLUMNS.split()
    assert re.search(r"read-docstrings +Running +\d+% +\d+/40 +\d", running)
    published = api.get_generation("docstrings").status.output
    assert published is not None
    assert life.run.status.datasets[0].revision == published.revision
    assert history.states[0] == "WaitingForDataset"
    assert history.states[-1] == "Complete"
    assert history.status_writes <= MAX_STATUS_WRITES


@pytest.mark.parametrize("over", [pytest.param("lfs", marks=pytest.mark.slow), "xet"])
def test_a_dataset_on_the_hub_is_published_and_trained_on(over: str, installation: Installation, hub: Hub) -> None:
    api, name, repository = installation.api, f"hub-{over}", f"deepsynth/pages-{over}"
    hub.create_secret(api.namespace, name, repository, xet=over == "xet")
    api.create(build_generation(name, f"hf://datasets/{repository}", secret=name))
    datasets = [{"name": "pages", "datasetGenerationRef": {"name": name}, "secretRef": {"name": name}}]
    life = RunLife.begin(api, installation.volume, build_run(name, datasets=datasets, maxSteps=2))
    generation = installation.wait_for_generation(name, lambda item: item.status.state == "Complete", RENDER_SECONDS)
    life.wait_for_model()
    published = generation.status.output
    assert published is not None
    assert published.pages > published.rows > 0
    assert life.run.status.datasets[0].revision == published.revision
    nodes = {pod["spec"]["nodeName"] for pod in api.list_pods(generation.metadata.uid)}
    assert nodes == set(installation.cluster.nodes), "the shards are rendered on both nodes"
