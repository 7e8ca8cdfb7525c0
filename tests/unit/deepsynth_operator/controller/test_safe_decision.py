"""A policy that raises because of what a pod reports never keeps a resource from being decided."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from deepsynth_api.reasons import Reason
from deepsynth_operator.controller.safe_decision import decide_safely
from deepsynth_operator.core.observed import Children, ObservedRun
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.shared.decision import Decision, DeleteJob
from deepsynth_operator.decisions.training_run.decide import decide_run
from support.clocks.manual_clock import START
from support.control.seen import RUNNING_JOB, SETTINGS, a_live_run, a_pod, a_report

LATER = START + timedelta(seconds=100)


def see(**spec: Any) -> ObservedRun:
    pods = (replace(a_pod(0), report=a_report(3)), a_pod(1))
    return ObservedRun(a_live_run(**spec), Children(jobs=(RUNNING_JOB,), pods=pods))


def fail_on_reports(observed: ObservedRun, settings: Settings, now: datetime) -> Decision[Any]:
    if any(pod.report for pod in observed.children.pods):
        raise OverflowError("int too large to convert to float")
    return decide_run(observed, settings, now)


def fail_on_pods(observed: ObservedRun, settings: Settings, now: datetime) -> Decision[Any]:
    if observed.children.pods:
        raise OverflowError("int too large to convert to float")
    return decide_run(observed, settings, now)


@pytest.mark.parametrize("decide", [fail_on_reports, fail_on_pods])
def test_the_deadline_is_seen_although_a_policy_raises(decide: Any, caplog: pytest.LogCaptureFixture) -> None:
    decision = decide_safely(decide, see(activeDeadlineSeconds=90), SETTINGS, LATER)
    assert decision.status.conditions[0].reason == Reason.DEADLINE_EXCEEDED
    assert decision.actions == (DeleteJob(RUNNING_JOB.name, RUNNING_JOB.uid),)
    assert "int too large" in caplog.text


@pytest.mark.parametrize("decide", [fail_on_reports, fail_on_pods])
def test_a_suspension_is_seen_although_a_policy_raises(decide: Any) -> None:
    decision = decide_safely(decide, see(suspend=True), SETTINGS, LATER)
    assert decision.status.state == "Suspended"


def test_the_run_continues_without_the_report_that_breaks_a_policy() -> None:
    decision = decide_safely(fail_on_reports, see(), SETTINGS, LATER)
    assert (decision.status.state, decision.actions) == ("Running", ())


def test_an_error_that_no_pod_causes_is_raised() -> None:
    def fail(observed: ObservedRun, settings: Settings, now: datetime) -> Decision[Any]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decide_safely(fail, see(), SETTINGS, LATER)
