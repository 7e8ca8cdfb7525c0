"""Objects are kept and deleted as by an API server."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deepsynth_simulator.object_store import AlreadyExists, ObjectKey, ObjectStore, WatchEvent

NOW = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
POD = ObjectKey("Pod", "default", "a")
SERVICE = ObjectKey("Service", "default", "a")


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore(lambda: NOW)


def build(key: ObjectKey, **metadata: Any) -> dict[str, Any]:
    return {"kind": key.kind, "metadata": {"name": key.name, **metadata}, "spec": {"size": 1}}


def record(store: ObjectStore) -> list[WatchEvent]:
    events: list[WatchEvent] = []
    store.subscribe(events.append)
    return events


def test_a_name_can_be_used_once_per_kind(store: ObjectStore) -> None:
    store.create(build(POD))
    store.create(build(SERVICE))
    with pytest.raises(AlreadyExists, match="Pod default/a already exists"):
        store.create(build(POD))


def test_only_a_changed_spec_increments_the_generation_and_only_a_change_gives_an_event(store: ObjectStore) -> None:
    store.create(build(SERVICE))
    events = record(store)

    assert store.update(SERVICE, lambda item: item["spec"].update(size=1))["metadata"]["generation"] == 1
    assert events == []
    assert store.update(SERVICE, lambda item: item["metadata"].update(labels={}))["metadata"]["generation"] == 1
    assert store.update(SERVICE, lambda item: item["spec"].update(size=2))["metadata"]["generation"] == 2
    assert [event.type for event in events] == ["MODIFIED", "MODIFIED"]


def test_what_a_reader_does_with_its_copy_does_not_change_the_store(store: ObjectStore) -> None:
    created = store.create(build(SERVICE))
    created["spec"]["size"] = 9

    found = store.get(*SERVICE)
    assert found is not None
    assert found["spec"] == {"size": 1}


def test_a_deleted_pod_stays_for_its_grace_period_until_its_kubelet_removes_it(store: ObjectStore) -> None:
    store.create(build(POD))
    store.delete(POD)

    found = store.get(*POD)
    assert found is not None
    assert found["metadata"]["deletionTimestamp"] == "2026-01-02T03:00:30Z"
    store.remove(POD)
    assert store.get(*POD) is None


def test_an_object_with_finalizers_vanishes_with_the_last_one(store: ObjectStore) -> None:
    store.create(build(SERVICE, finalizers=["a", "b"]))
    events = record(store)
    store.delete(SERVICE)
    store.remove_finalizer(SERVICE, "a")
    assert store.get(*SERVICE) is not None
    store.remove_finalizer(SERVICE, "b")

    assert store.get(*SERVICE) is None
    assert [event.type for event in events] == ["MODIFIED", "MODIFIED", "DELETED"]
    assert events[-1].manifest["metadata"]["finalizers"] == ["b"]
