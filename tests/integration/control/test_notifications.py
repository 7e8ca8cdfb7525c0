"""The outbox in the status: marked with the end, offered until it is delivered, also by the next operator."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from deepsynth_api.report import Report, TrainReport
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.decisions.shared.notifications import GIVE_UP_AFTER
from deepsynth_simulator.object_store import ObjectKey
from support.cluster.cluster_faults import QueueingCluster
from support.control.controller import SETTINGS, Controller
from support.resources.builders import a_training_run

NAME = "read-xsum"
KEY = ResourceKey("TrainingRun", "default", NAME)


class NotifyingCluster(QueueingCluster):
    """offered: each look at an event that is not accepted yet. is_accepted: whether the webhook has accepted it.

    latest: what is to be sent about each resource.
    """

    offered: list[Manifest]
    latest: dict[ResourceKey, Manifest | None]
    is_accepted = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.offered, self.latest = [], {}

    def deliver(self, key: ResourceKey, event: Manifest | None) -> bool:
        self.latest[key] = event
        self.offered.extend([event] if event is not None else [])
        return event is not None and self.is_accepted


@pytest.fixture
def control() -> Iterator[Controller]:
    controller = Controller(NotifyingCluster, replace(SETTINGS, notifies=True))
    yield controller
    controller.close()


def get_cluster(control: Controller) -> NotifyingCluster:
    assert isinstance(control.cluster, NotifyingCluster)
    return control.cluster


def finish_run(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    control.settle()
    train = TrainReport(attempt=1, phase="step", step=100, total_steps=100, saved_step=100)
    control.end(f"{NAME}-train-1-0", 0, Report(step="train", time=control.clock.now(), train=train))
    control.settle()


def test_an_end_stays_in_the_status_until_it_is_delivered(control: Controller) -> None:
    finish_run(control)
    status = control.get_run().status
    assert (status.state, status.pending_notification is not None) == ("Complete", True)
    control.advance(1200, step=60)
    offered = get_cluster(control).offered
    assert len({event["id"] for event in offered}) == 1
    get_cluster(control).is_accepted = True
    control.advance(600, step=60)
    count = len(offered)
    assert control.get_run().status.pending_notification is None
    control.advance(1200, step=60)
    assert len(offered) == count, "nothing is sent once it is delivered"


def test_a_resource_that_has_ended_before_is_not_sent(control: Controller) -> None:
    control.settings = replace(control.settings, notifies=False)
    finish_run(control)
    control.settings = replace(control.settings, notifies=True)
    control.advance(600, step=60)
    assert get_cluster(control).offered == []


@pytest.mark.parametrize("end", ["delivered", "given up", "deleted"])
def test_a_mark_that_is_gone_is_withdrawn_from_what_is_being_sent(control: Controller, end: str) -> None:
    finish_run(control)
    assert get_cluster(control).latest[KEY] is not None
    if end == "deleted":
        control.cluster.store.delete(ObjectKey(*KEY))
        control.reconcile("TrainingRun", NAME)
    else:
        get_cluster(control).is_accepted = end == "delivered"
        control.advance(int(GIVE_UP_AFTER.total_seconds()) + 7200, step=3600)
    assert get_cluster(control).latest[KEY] is None


def test_after_a_day_the_operator_gives_up_with_an_event(control: Controller) -> None:
    finish_run(control)
    control.advance(int(GIVE_UP_AFTER.total_seconds()) + 600, step=3600)
    assert control.get_run().status.pending_notification is None
    assert [event.reason for event in control.cluster.events].count("NotificationFailed") == 1
