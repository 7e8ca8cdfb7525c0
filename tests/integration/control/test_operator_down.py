"""The operator is down for an hour, with a thousand runs in many situations: what holds meanwhile, and what follows.

Meanwhile the simulator's controllers work, and nothing is reconciled. A new process begins with an empty cache: pods
that were deleted have left no last state.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from deepsynth_api.reasons import Reason
from deepsynth_operator.core.observed import find_true_condition
from deepsynth_operator.manifests.names import build_job_name
from support.clocks.manual_clock import START
from support.control.outage import DEADLINE, HOUR, Outage


@pytest.fixture(scope="module", params=[4, pytest.param(84, marks=pytest.mark.slow)])
def outage(request: pytest.FixtureRequest) -> Iterator[Outage]:
    """In the state in which the first look after the restart has left it. Tests only read."""
    found = Outage(request.param)
    found.begin()
    found.pass_hour()
    found.restart()
    yield found
    found.close()


def test_runs_that_ran_all_the_time_show_their_progress_in_the_same_attempt(outage: Outage) -> None:
    for name in outage.list_names("running"):
        run = outage.get(name)
        assert (run.status.state, len(run.status.attempts), run.status.restarts) == ("Running", 1, 0)
        assert run.status.summary.step == "90/100"


def test_runs_that_succeeded_meanwhile_are_complete(outage: Outage) -> None:
    for name in outage.list_names("succeeded"):
        run = outage.get(name)
        assert (run.status.state, run.status.failures) == ("Complete", 0)
        assert run.status.output is not None


def test_runs_that_failed_meanwhile_count_one_failure_and_train_again(outage: Outage) -> None:
    for name in outage.list_names("failed"):
        status = outage.get(name).status
        assert [attempt.outcome for attempt in status.attempts] == ["Failed", None]
        assert (status.failures, status.restarts, status.attempts[0].exit_code) == (1, 1, 1)
        assert outage.find_job(name, 2) is not None
        assert status.attempts[0].end_time == START + timedelta(seconds=HOUR / 6)


def test_runs_that_cannot_succeed_are_failed_with_their_exit_code(outage: Outage) -> None:
    for name in outage.list_names("bad-config"):
        status = outage.get(name).status
        assert (status.state, status.summary.reason) == ("Failed", Reason.BAD_CONFIGURATION)
        assert (len(status.attempts), status.attempts[0].exit_code) == (1, 64)


@pytest.mark.parametrize(
    ("situation", "reason"), [("evicted", Reason.POD_DISRUPTED), ("job-deleted", Reason.JOB_DELETED)]
)
def test_disruptions_that_nobody_saw_do_not_count_as_failures(outage: Outage, situation: str, reason: Reason) -> None:
    """The evicted pod is gone; its Job still names the rule by which it failed."""
    for name in outage.list_names(situation):
        status = outage.get(name).status
        assert status.failures == 0
        assert status.attempts[0].outcome == "Disrupted"
        assert status.attempts[0].reason == reason


def test_the_job_keeps_the_deadline_while_nobody_looks(outage: Outage) -> None:
    for name in outage.list_names("deadline"):
        status = outage.get(name).status
        assert (status.state, status.summary.reason, len(status.attempts)) == ("Failed", Reason.DEADLINE_EXCEEDED, 1)
        job = outage.find_job(name)
        assert job is not None
        ended = find_true_condition(job, "Failed")
        assert ended is not None
        assert ended["lastTransitionTime"] == f"{START + timedelta(seconds=DEADLINE):%Y-%m-%dT%H:%M:%SZ}"


def test_gpus_are_counted_until_the_job_ended_and_not_until_the_restart(outage: Outage) -> None:
    assert {outage.get(name).status.usage.gpu_seconds for name in outage.list_names("succeeded")} == {HOUR // 6}
    assert {outage.get(name).status.usage.gpu_seconds for name in outage.list_names("deadline")} == {DEADLINE}
    assert {outage.get(name).status.usage.gpu_seconds for name in outage.list_names("running")} == {HOUR}


def test_a_suspension_and_a_deletion_meanwhile_take_effect(outage: Outage) -> None:
    for name in outage.list_names("suspended"):
        assert outage.get(name).status.state == "Suspended"
        assert outage.find_job(name) is None
    for name in outage.list_names("deleted"):
        assert outage.find_job(name) is None


def test_finished_runs_keep_their_jobs_until_their_ttl_and_cost_no_request(outage: Outage) -> None:
    for name in outage.list_names("expired"):
        assert (outage.get(name).status.state, outage.find_job(name)) == ("Complete", None)
    for name in outage.list_names("kept"):
        assert outage.find_job(name) is not None
    read = {name.partition("-train-")[0].rpartition("-")[0] for name in outage.cluster.jobs_read}
    assert read & {"expired", "kept"} == set()


def test_runs_that_were_created_meanwhile_start(outage: Outage) -> None:
    for name in outage.list_names("new"):
        run = outage.get(name)
        assert run.status.state in {"Starting", "Running"}
        assert outage.find_job(name) is not None
        assert run.status.attempts[0].job == build_job_name(run, "train", 1)
