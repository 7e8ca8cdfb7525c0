"""Columns of a run that waits or restarts: no rate, no end, and the progress that its checkpoints hold."""

from dataclasses import replace
from datetime import timedelta

from deepsynth_api.report import Failure
from deepsynth_operator.decisions.training_run.attempts import replace_last
from support.clocks.manual_clock import START
from support.control.seen import FAILED_JOB, RUNNING_JOB, a_live_run, a_pod, a_report, an_ended_pod, decide, follow

REPORT = a_report(40, samples_per_second=12.5, remaining_seconds=600, saved_step=30)
PODS = [a_pod(0, report=REPORT), a_pod(1)]


def test_a_run_that_waits_or_restarts_shows_no_rate_and_no_end() -> None:
    run = a_live_run()
    moving = follow(run, decide(run, RUNNING_JOB, PODS))
    summary = moving.status.summary
    assert (summary.samples_per_second, summary.eta, summary.progress) == ("12.5", "10m", "40%")
    queued = decide(moving, replace(RUNNING_JOB, suspended=True), [], after=120).status
    starting = decide(moving, FAILED_JOB, [an_ended_pod(0), an_ended_pod(1)], after=120).status
    for status in (queued, starting):
        assert (status.summary.samples_per_second, status.summary.eta) == ("", "")
        assert status.summary.progress == "40%"
    assert [queued.state, starting.state] == ["Queued", "Starting"]


def test_a_restarted_attempt_shows_the_step_of_its_checkpoint_until_it_has_loaded_it() -> None:
    run = a_live_run()
    run = follow(run, decide(run, RUNNING_JOB, PODS))
    run = run.updated(status=replace_last(run.status, run.status.attempts[0].updated(last_step=None)))
    loading = decide(run, RUNNING_JOB, [a_pod(0, report=a_report(0, phase="start")), a_pod(1)], after=120).status
    assert (loading.summary.progress, loading.summary.step) == ("30%", "30/100")
    earlier = decide(run, RUNNING_JOB, [a_pod(0, report=a_report(10)), a_pod(1)], after=120).status
    assert earlier.summary.step == "10/100", "an older checkpoint may be the newest that is whole"


def test_only_pods_with_a_container_hold_gpus_until_all_have_run() -> None:
    run = a_live_run(resourcesPerNode={"limits": {"nvidia.com/gpu": 4}}, startTimeoutSeconds=60)
    run = run.updated(status=replace_last(run.status, run.status.attempts[0].updated(running_time=None)))
    pods = [a_pod(0), a_pod(1, phase="Pending", started=None, scheduled=None, node=None, unschedulable="no GPU")]
    status = decide(run, RUNNING_JOB, pods, after=100).status
    assert status.attempts[0].reason == "NotStarted"
    assert (status.usage.gpu_seconds, status.usage.lost_gpu_seconds) == (400, 400), "one of two pods"


def test_the_node_of_a_drain_is_not_that_of_the_rank_that_ended_with_it() -> None:
    run = a_live_run()
    drained = an_ended_pod(1, 143, disruption="EvictionByEvictionAPI", node="node-1")
    run = follow(run, decide(run, FAILED_JOB, [an_ended_pod(0, 69, node="node-2"), drained]))
    assert (run.status.attempts[0].reason, run.status.attempts[0].node) == ("Evicted", "node-1")
    unexplained = run.status.attempts[0].updated(exit_code=None)
    second = unexplained.updated(number=2, outcome=None, end_time=None, start_time=START + timedelta(seconds=90))
    run = run.updated(status=run.status.updated(attempts=[unexplained, second]))
    previous = Failure(reason="PeerLost", message="a peer was lost", exit_code=69, rank=0, node="node-2")
    report = a_report(0, phase="start").model_copy(update={"previous": previous})
    pods = [a_pod(0, report=report, created=START + timedelta(seconds=91)), a_pod(1)]
    assert decide(run, RUNNING_JOB, pods, after=120).status.attempts[0].node == "node-1"
