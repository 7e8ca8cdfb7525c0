"""A run under a queue that suspends, admits, evicts and admits it again ends Complete."""

from collections.abc import Iterator

import pytest

from deepsynth_api.labels import QUEUE_NAME
from e2e.support.fake_queue import FakeQueue
from e2e.support.histories import record_history
from e2e.support.installation import Installation
from e2e.support.lives import RunLife
from e2e.support.resources import build_run


@pytest.fixture
def queue(installation: Installation) -> Iterator[FakeQueue]:
    if not FakeQueue.is_possible(installation.cluster):
        pytest.skip("the fake queue needs MutatingAdmissionPolicies, which are stable since Kubernetes 1.36")
    queue = FakeQueue(installation.cluster, installation.api)
    yield queue
    queue.remove()


def test_a_run_waits_for_its_queue_and_continues_when_it_is_admitted_again(
    installation: Installation, queue: FakeQueue, undisturbed: str
) -> None:
    manifest = build_run("queued")
    manifest["metadata"]["labels"] = {QUEUE_NAME: "team"}
    with record_history(installation.api, "TrainingRun", "queued") as history:
        life = RunLife.begin(installation.api, installation.volume, manifest)
        run = life.wait_for_state("Queued")
        assert installation.api.list_pods(life.uid) == []
        (attempt,) = run.status.attempts
        queue.admit(attempt.job)
        life.wait_for_saved_step(10)
        queue.evict(attempt.job)
        life.wait_for_state("Queued")
        life.wait_for("no pod runs", lambda _: not installation.api.list_pods(life.uid))
        queue.admit(attempt.job)
        assert life.wait_for_model() == undisturbed

    seen = [state for state in history.states if state in {"Queued", "Running", "Complete", "Failed"}]
    assert seen == ["Queued", "Running", "Queued", "Running", "Complete"]
    first, second = life.run.status.attempts
    assert (first.outcome, first.reason, second.outcome) == ("Suspended", "RequeuedByQueue", "Succeeded")
    assert (second.job, second.number) == (first.job, 2), "the same Job, another attempt"
    assert (life.run.status.failures, life.run.status.restarts) == (0, 0)
