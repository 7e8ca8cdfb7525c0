"""News of a resource's end for the administrator's webhook, at least once.

    note_end           with the status of the end: a mark, which is the outbox        -> status.pendingNotification
    build_cloud_event  what to send while there is a mark
    follow_delivery    the mark goes once the webhook has taken the news, or when a day is over

The mark is written before anything is sent, and removed after it was: an operator that is killed in between sends
again, with the same id. Sending itself belongs to `process/webhook.py`; nothing here waits for it.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from deepsynth_api.kinds import API_VERSION, KINDS
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Resource
from deepsynth_api.v1alpha1.shared.notification import PendingNotification
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.decisions.shared.conditions import is_finished
from deepsynth_operator.decisions.shared.decision import AT_ONCE, RESYNC_SECONDS, Decision, Event, Status

GIVE_UP_AFTER: Final = timedelta(hours=24)
CONTENT_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
"""Of a CloudEvent in the structured mode."""


def note_end(before: Status, status: Status, *, notifies: bool) -> Status:
    """`status` with a mark if the resource ends with it. A run that continued ends again, at another time."""
    if not notifies or not is_finished(status.conditions) or status.completion_time is None:
        return status
    if status.completion_time == before.completion_time or status.state not in ("Complete", "Failed"):
        return status
    return status.updated(pending_notification=PendingNotification(time=status.completion_time, state=status.state))


def follow_delivery(
    resource: Resource, decision: Decision[Any], *, is_delivered: bool, notifies: bool, now: datetime
) -> Decision[Any]:
    """`decision` with what has become of the mark of `resource`. is_delivered: whether the webhook has taken it."""
    old, mark = resource.status.pending_notification, decision.status.pending_notification
    if resource.metadata.deletion_timestamp is not None:
        return decision
    if old is None:
        return decision if mark is None else replace(decision, requeue_after=AT_ONCE)
    if mark != old:  # a run that continued has ended again
        event = _give_up(old, "it has ended again")
        return decision if is_delivered else replace(decision, events=(*decision.events, event))
    cleared = decision.status.updated(pending_notification=None)
    if is_delivered or not notifies:
        return replace(decision, status=cleared)
    if now >= old.time + GIVE_UP_AFTER:
        event = _give_up(old, f"limit: {GIVE_UP_AFTER.total_seconds() / 3600:.0f} h")
        return replace(decision, status=cleared, events=(*decision.events, event))
    wait = RESYNC_SECONDS if decision.requeue_after is None else min(decision.requeue_after, RESYNC_SECONDS)
    return replace(decision, requeue_after=wait)


def build_cloud_event(resource: Resource) -> Manifest | None:
    """CloudEvents 1.0 as JSON; None without a mark. The id is the same each time that this end is sent."""
    mark = resource.status.pending_notification
    if mark is None:
        return None
    kind, metadata = KINDS[resource.kind], resource.metadata
    time = mark.time.astimezone(UTC).isoformat().replace("+00:00", "Z")
    ended = next((item for item in resource.status.conditions if item.type == mark.state), None)
    is_current = ended is not None and resource.status.completion_time == mark.time
    return {
        "specversion": "1.0",
        "id": f"{metadata.uid}/{time}",
        "source": f"/apis/{API_VERSION}/namespaces/{metadata.namespace}/{kind.plural}/{metadata.name}",
        "type": f"io.deepsynth.{kind.singular}.{mark.state.lower()}",
        "subject": metadata.name,
        "time": time,
        "datacontenttype": "application/json",
        "data": {
            "kind": resource.kind,
            "namespace": metadata.namespace,
            "name": metadata.name,
            "uid": metadata.uid,
            "state": mark.state,
            "reason": ended.reason if ended is not None and is_current else "",
            "message": ended.message if ended is not None and is_current else "",
        },
    }


def _give_up(mark: PendingNotification, why: str) -> Event:
    text = f"the webhook has not accepted that the resource is {mark.state} since {mark.time:%Y-%m-%d %H:%M} UTC"
    return Event("Warning", Reason.NOTIFICATION_FAILED, f"{text}; it is not sent any more ({why})")
