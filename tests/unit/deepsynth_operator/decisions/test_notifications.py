"""News of an end: one mark, one id, cleared when delivered or after a day."""

from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.decisions.shared.decision import Decision
from deepsynth_operator.decisions.shared.notifications import (
    GIVE_UP_AFTER,
    build_cloud_event,
    follow_delivery,
    note_end,
)
from support.clocks.manual_clock import START
from support.resources.builders import UID, a_training_run

END = "2026-01-02T03:04:05Z"
MARK = {"time": END, "state": "Failed"}
FAILED = {"type": "Failed", "status": "True", "reason": "TooManyFailures", "message": "3 of 3 attempts failed"}
ENDED: dict[str, Any] = {
    "state": "Failed",
    "completionTime": END,
    "conditions": [{**FAILED, "lastTransitionTime": END}],
}


def a_run(**status: Any) -> TrainingRun:
    return a_training_run().with_status(**status).build()


def a_pending_run() -> TrainingRun:
    return a_run(**ENDED, pendingNotification=MARK)


def follow(run: TrainingRun, *, is_delivered: bool = False, notifies: bool = True, after: timedelta) -> Decision[Any]:
    assert run.status.pending_notification is not None
    now = run.status.pending_notification.time + after
    return follow_delivery(run, Decision(run.status), is_delivered=is_delivered, notifies=notifies, now=now)


def get_event(run: TrainingRun) -> Manifest:
    event = build_cloud_event(run)
    assert event is not None
    return event


def test_an_end_is_marked_once() -> None:
    before, after = a_run().status, a_run(**ENDED).status
    marked = note_end(before, after, notifies=True)
    assert marked.to_dict()["pendingNotification"] == MARK
    assert note_end(after, after, notifies=True) == after, "it was marked with its end"
    assert note_end(before, before, notifies=True) == before
    assert note_end(before, after, notifies=False) == after


def test_the_event_is_a_cloud_event() -> None:
    assert build_cloud_event(a_run(**ENDED)) is None
    assert build_cloud_event(a_pending_run()) == {
        "specversion": "1.0",
        "id": f"{UID}/{END}",
        "source": "/apis/deepsynth.io/v1alpha1/namespaces/default/trainingruns/read-xsum",
        "type": "io.deepsynth.trainingrun.failed",
        "subject": "read-xsum",
        "time": END,
        "datacontenttype": "application/json",
        "data": {
            "kind": "TrainingRun",
            "namespace": "default",
            "name": "read-xsum",
            "uid": UID,
            "state": "Failed",
            "reason": FAILED["reason"],
            "message": FAILED["message"],
        },
    }


def test_the_id_stays_when_the_run_continues_before_it_is_delivered() -> None:
    continued = a_run(state="Running", pendingNotification=MARK)
    assert get_event(continued)["id"] == get_event(a_pending_run())["id"]
    assert get_event(continued)["data"]["reason"] == ""


def test_the_look_that_writes_the_mark_is_followed_by_one_that_sends() -> None:
    decision = follow_delivery(a_run(), Decision(a_pending_run().status), is_delivered=False, notifies=True, now=START)
    assert decision.requeue_after == 0


def test_the_mark_goes_with_the_delivery() -> None:
    decision = follow(a_pending_run(), is_delivered=True, after=timedelta(seconds=1))
    assert decision.status.pending_notification is None
    assert decision.events == ()
    assert decision.requeue_after is None


def test_what_is_not_delivered_is_looked_at_again() -> None:
    decision = follow(a_pending_run(), after=GIVE_UP_AFTER - timedelta(seconds=1))
    assert decision.status.pending_notification is not None
    assert decision.requeue_after is not None


def test_after_a_day_it_is_given_up_with_an_event() -> None:
    decision = follow(a_pending_run(), after=GIVE_UP_AFTER)
    assert decision.status.pending_notification is None
    assert [(event.type, event.reason) for event in decision.events] == [("Warning", Reason.NOTIFICATION_FAILED)]
    assert "24 h" in decision.events[0].message


def test_without_a_webhook_a_mark_of_earlier_is_dropped() -> None:
    decision = follow(a_pending_run(), notifies=False, after=timedelta(seconds=1))
    assert (decision.status.pending_notification, decision.events) == (None, ())


@pytest.mark.parametrize("is_delivered", [True, False])
def test_a_second_end_replaces_the_mark_of_the_first(is_delivered: bool) -> None:
    run = a_run(state="Running", pendingNotification=MARK)
    later = {**ENDED, "completionTime": "2026-01-02T04:00:00Z", "pendingNotification": MARK}
    again = note_end(run.status, a_run(**later).status, notifies=True)
    decision = follow_delivery(run, Decision(again), is_delivered=is_delivered, notifies=True, now=START)
    assert decision.status.pending_notification == again.pending_notification != run.status.pending_notification
    assert [event.reason for event in decision.events] == ([] if is_delivered else [Reason.NOTIFICATION_FAILED])
    assert all("it has ended again" in event.message and "24 h" not in event.message for event in decision.events)
