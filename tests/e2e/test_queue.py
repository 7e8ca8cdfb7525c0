"""A queue that suspends, admits, evicts and admits again: the run goes along and ends Complete."""

from collections.abc import Iterator

import pytest

from deepsynth_api.labels import QUEUE_NAME
from e2e.histories import record_history
from e2e.installation import Installation
from e2e.lives import RunLife
from e2e.queue_stand_in import QueueStandIn
from e2e.resources import build_run


@pytest.fixture
def queue(installation: Installation) -> Iterator[QueueStandIn]:
    if not QueueStandIn.is_possible(installation.cluster):
        pytest.skip("the stand-in needs MutatingAdmissionPolicies, which are stable from Kubernetes 1.36 on")
    queue = QueueStandIn(installation.cluster, installation.api)
    yield queue
    queue.remove()


def test_a_run_waits_for_its_queue_and_goes_on_when_it_is_admitted_again(
    installation: Installation, queue: QueueStandIn, undisturbed: str
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

    told = [state for state in history.states if state in {"Queued", "Running", "Complete", "Failed"}]
    assert told == ["Queued", "Running", "Queued", "Running", "Complete"]
    first, second = life.run.status.attempts
    assert (first.outcome, first.reason, second.outcome) == ("Suspended", "RequeuedByQueue", "Succeeded")
    assert (second.job, second.number) == (first.job, 2), "the same Job, another attempt"
    assert (life.run.status.failures, life.run.status.restarts) == (0, 0)
