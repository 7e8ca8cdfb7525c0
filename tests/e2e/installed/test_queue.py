"""Resources in the queue of a real Kueue, which holds, evicts and admits them again, end Complete."""

from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_api.labels import QUEUE_NAME, QUEUE_PRIORITY_CLASS
from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.kueue import Kueue
from deepsynth_demo.chart import CLAIM
from e2e.support.api import Api, wait_until
from e2e.support.histories import record_history
from e2e.support.installation import Installation
from e2e.support.lives import RunLife
from e2e.support.queues import QUEUE, Queues
from e2e.support.resources import build_generation, build_run


@pytest.fixture(scope="module")
def queues(installation: Installation) -> Iterator[Queues]:
    if not isinstance(installation.cluster, BareCluster):
        pytest.skip("Kueue is installed on the development cluster only")
    kueue = Kueue(installation.cluster)
    kueue.install()
    yield Queues(installation.cluster, installation.api)
    kueue.remove()


def test_a_run_waits_for_its_queue_and_continues_when_it_is_admitted_again(
    installation: Installation, queues: Queues, undisturbed: str
) -> None:
    manifest = build_run("queued")
    manifest["metadata"]["labels"] = {QUEUE_NAME: QUEUE}
    with record_history(installation.api, "TrainingRun", "queued") as history:
        with queues.stopped("Hold"):
            life = RunLife.begin(installation.api, installation.volume, manifest)
            life.wait_for_state("Queued")
            assert installation.api.list_pods(life.uid) == []
        life.wait_for_saved_step(10)
        with queues.stopped("HoldAndDrain"):
            life.wait_for_state("Queued")
            life.wait_for("no pod runs", lambda _: not installation.api.list_pods(life.uid))
        assert life.wait_for_model() == undisturbed

    seen = [state for state in history.states if state in {"Queued", "Running", "Complete", "Failed"}]
    assert seen == ["Queued", "Running", "Queued", "Running", "Complete"]
    first, second = life.run.status.attempts
    assert (first.outcome, first.reason, second.outcome) == ("Suspended", "RequeuedByQueue", "Succeeded")
    assert (second.job, second.number) == (first.job, 2), "the same Job, another attempt"
    assert (life.run.status.failures, life.run.status.restarts) == (0, 0)


@pytest.mark.slow
def test_a_run_that_an_urgent_one_preempts_saves_and_continues(
    installation: Installation, queues: Queues, undisturbed: str
) -> None:
    def begin(name: str, priority: str, **spec: Any) -> RunLife:
        manifest = build_run(name, **spec)
        manifest["metadata"]["labels"] = {QUEUE_NAME: QUEUE, QUEUE_PRIORITY_CLASS: priority}
        return RunLife.begin(installation.api, installation.volume, manifest)

    cheap = begin("cheap", "low", checkpoint={"uri": f"pvc://{CLAIM}/cheap", "everySteps": 1000})
    cheap.wait_for("some steps", lambda run: run.status.progress is not None and run.status.progress.step >= 3)
    begin("urgent", "high", maxSteps=5).wait_for_model()
    assert cheap.wait_for_model() == undisturbed
    status = cheap.run.status
    first, second = status.attempts
    assert (first.outcome, first.reason, second.outcome) == ("Suspended", "RequeuedByQueue", "Succeeded")
    assert second.resumed_from_step == first.last_step, "it saved when it was preempted"
    assert (status.failures, status.restarts) == (0, 0)


def list_living_pods(api: Api, uid: str) -> list[str]:
    pods = api.list_pods(uid)
    return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] in {"Pending", "Running"}]


def test_a_generation_has_one_place_in_its_queue_and_continues_with_its_shards(
    installation: Installation, queues: Queues
) -> None:
    api = installation.api
    manifest = build_generation("queued-pages", f"pvc://{CLAIM}/queued-pages", parallelism=1)
    manifest["metadata"]["labels"] = {QUEUE_NAME: QUEUE}
    api.create(manifest)
    uid = api.get_generation("queued-pages").metadata.uid
    installation.wait_for_generation("queued-pages", lambda item: item.status.state == "Rendering", 120)
    with queues.stopped("HoldAndDrain"):
        installation.wait_for_generation("queued-pages", lambda item: item.status.state == "Queued", 60)
        wait_until("no pod to run", lambda: not list_living_pods(api, uid), 120)
    done = installation.wait_for_generation("queued-pages", lambda item: item.status.state == "Complete", 240)
    steps = [(job.step, job.outcome) for job in done.status.jobs]
    assert steps == [
        ("plan", "Succeeded"),
        ("render", "Suspended"),
        ("render", "Succeeded"),
        ("publish", "Succeeded"),
    ]
    jobs = {job["metadata"]["name"] for job in api.list_jobs(uid)}
    assert "queued-pages-publish-1" in jobs
    assert "queued-pages-queue" not in jobs, "its quota is free"
