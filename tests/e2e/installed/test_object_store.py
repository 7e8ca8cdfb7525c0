"""The main path with everything in an object store: source, dataset, model, checkpoints, published model. No volume."""

import json
import time
from typing import Any

import pytest

from deepsynth_cluster.clusters.interface import Faults
from deepsynth_demo.chart import CLAIM
from e2e.support.installation import Installation
from e2e.support.lives import RunLife, describe, get_ended, hash_file
from e2e.support.resources import build_generation, build_run
from e2e.support.s3_on_machine import S3, SECRET, install_s3

pytestmark = pytest.mark.slow

OUTAGE_SECONDS = 60
STEPS = 120
KEYS = {"secretRef": {"name": SECRET}}
ROWS = [
    {"text": f"Letter {number}. " + "Words that fill a line. " * 9, "summary": f"A letter with number {number}."}
    for number in range(80)
]


@pytest.fixture(scope="module")
def s3(installation: Installation) -> S3:
    found = install_s3(installation.cluster, installation.api.namespace, f"store-{time.time_ns()}")
    found.put("raw/train.jsonl", "".join(f"{json.dumps(row)}\n" for row in ROWS))
    return found


def render(installation: Installation, s3: S3, name: str, output: str, secret: str | None = None) -> None:
    source = {"uri": f"{s3.uri}/raw/train.jsonl", "holdoutPercent": 10, **KEYS}
    installation.api.create(build_generation(name, output, secret, source=source))
    installation.wait_for_generation(name, lambda item: item.status.state == "Complete", 600)


def begin(installation: Installation, name: str, **spec: Any) -> RunLife:
    return RunLife.begin(installation.api, installation.volume, build_run(name, **{"maxSteps": STEPS, **spec}))


def test_a_run_without_a_volume_survives_an_outage_and_a_kill_and_ends_with_the_model_of_one_on_a_volume(
    installation: Installation, s3: S3, faults: Faults
) -> None:
    render(installation, s3, "from-s3", f"pvc://{CLAIM}/from-s3")
    render(installation, s3, "in-s3", f"{s3.uri}/pages", SECRET)
    publish = {"uri": f"{s3.uri}/base", **KEYS}
    begin(installation, "base", maxSteps=2, publish=publish).wait_for_end()
    model = {"uri": f"{s3.uri}/base", **KEYS}

    on_volume = begin(
        installation,
        "on-volume",
        model=model,
        datasets=[{"name": "pages", "datasetGenerationRef": {"name": "from-s3"}}],
    )
    on_volume.wait_for_model()
    expected = hash_file(installation.volume / "on-volume/model/model.safetensors")

    in_store = begin(
        installation,
        "in-store",
        model=model,
        datasets=[{"name": "pages", "datasetGenerationRef": {"name": "in-s3"}, **KEYS}],
        checkpoint={"uri": f"{s3.uri}/runs/in-store", "everySteps": 5, **KEYS},
        publish={"uri": f"{s3.uri}/published", **KEYS},
    )
    in_store.wait_for_saved_step(5)
    pods = installation.api.list_pods(in_store.uid)
    assert len(pods) == 2
    assert not [volume for pod in pods for volume in pod["spec"]["volumes"] if "persistentVolumeClaim" in volume]
    with s3.unreachable():
        time.sleep(OUTAGE_SECONDS)
    run = in_store.wait_for_saved_step(in_store.run.status.saved_step + 5)
    assert get_ended(run) == [], f"an outage of a minute counts as nothing: {describe(run)}"
    s3.wait_for_upload("runs/in-store")
    faults.kill_container(installation.api.namespace, in_store.get_pod(1))

    run = in_store.wait_for_end()
    assert run.status.state == "Complete", describe(run)
    assert len(get_ended(run)) == 1, describe(run)
    assert run.status.output is not None
    assert run.status.output.uri == f"{s3.uri}/published"
    assert s3.hash("published/model.safetensors") == expected
