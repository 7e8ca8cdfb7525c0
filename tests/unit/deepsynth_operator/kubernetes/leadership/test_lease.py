"""The Lease as an object: what others may have written into it must not keep every process from leading."""

import asyncio
from typing import Any

import pytest

from deepsynth_operator.kubernetes.leadership.lease import MAX_DURATION, ApiLeaseStore, LeaseRecord


class EchoApi:
    """Answers each write with what was written, which is kept in `lease`."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] = {}

    async def request(self, *_: object, body: dict[str, Any], **__: object) -> dict[str, Any]:
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": "2"}}
        return self.lease


def parse(**spec: object) -> LeaseRecord:
    return LeaseRecord.parse({"metadata": {"resourceVersion": "1"}, "spec": spec})


@pytest.mark.parametrize(("transitions", "written"), [(0, 1), (2**31 - 2, 2**31 - 1), (2**31 - 1, 2**31 - 1)])
def test_the_count_of_transitions_stays_within_the_field_of_the_api(transitions: int, written: int) -> None:
    store = ApiLeaseStore(EchoApi(), "deepsynth", "deepsynth")  # type: ignore[arg-type]
    found = asyncio.run(store.write(parse(holderIdentity="other", leaseTransitions=transitions), "own", 11))
    assert found.transitions == written


@pytest.mark.parametrize(("seconds", "duration"), [(11, 11.0), (10 * 365 * 24 * 3600, MAX_DURATION)])
def test_a_lease_counts_for_a_minute_at_most(seconds: int, duration: float) -> None:
    assert parse(holderIdentity="other", leaseDurationSeconds=seconds).duration == duration


def test_a_lease_without_a_spec_has_no_holder() -> None:
    assert LeaseRecord.parse({"metadata": {"resourceVersion": "1"}}).holder == ""


@pytest.mark.parametrize("holder", ["own", "other"])
def test_a_write_keeps_what_others_have_written_into_the_lease(holder: str) -> None:
    """Such as labels of a GitOps tool or of a policy: a PUT without them removes them every two seconds."""
    foreign = {"labels": {"team": "a"}, "annotations": {"note": "b"}, "finalizers": ["example.com/keep"], "uid": "u"}
    metadata = {"name": "deepsynth", "namespace": "deepsynth", "resourceVersion": "1", **foreign}
    api = EchoApi()
    store = ApiLeaseStore(api, "deepsynth", "deepsynth")  # type: ignore[arg-type]
    found = LeaseRecord.parse({"metadata": metadata, "spec": {"holderIdentity": holder, "strategy": "OldestVersion"}})
    written = asyncio.run(store.write(found, "own", 11))
    asyncio.run(store.write(written, "own", 11))
    assert api.lease["metadata"] == {**metadata, "resourceVersion": "2"}
    assert (api.lease["spec"]["holderIdentity"], api.lease["spec"]["strategy"]) == ("own", "OldestVersion")
