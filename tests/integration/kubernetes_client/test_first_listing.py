"""The first listing: nothing is decided in a namespace before everything in it is listed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from deepsynth_api.labels import MANAGED_BY, OPERATOR_NAME
from deepsynth_operator.kubernetes.watches.first_listing import LATER_RETRY_SECONDS, RETRY_SECONDS, FirstListing
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache
from support.cluster.fake_api_server import Client, FakeApiServer, Fault, serve_api


class Listed:
    """A server with a Job in the namespaces a and b, and a listing that records its pauses."""

    def __init__(self, server: FakeApiServer, api: Any, namespaces: tuple[str | None, ...]) -> None:
        self.server, self.cache = server, ResourceCache()
        self.pauses: list[float] = []
        self.max_pauses = 0
        self.listing = FirstListing(api, self.cache, namespaces, self._pause)
        for namespace in ("a", "b"):
            metadata = {"name": "job", "namespace": namespace, "labels": {MANAGED_BY: OPERATOR_NAME}}
            server.put({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata})

    async def run(self, pauses: int) -> None:
        """Run until it has paused this many times in total."""
        self.max_pauses = pauses
        task = asyncio.create_task(self.listing.run())
        await asyncio.wait({task}, timeout=600)
        assert task.cancelled()

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == self.max_pauses:
            raise asyncio.CancelledError


def list_first(script: Callable[[Listed], Awaitable[None]], *namespaces: str) -> None:
    async def main() -> None:
        async with serve_api() as server, Client(server) as api:
            await script(Listed(server, api, namespaces or (None,)))

    asyncio.run(main())


def test_the_listing_waits_for_the_crds_and_for_the_api_server() -> None:
    async def script(listed: Listed) -> None:
        listed.server.faults = [Fault(404, path="/datasetgenerations"), Fault(403, path="/jobs")]
        await listed.run(2)
        assert not listed.listing.some.is_set()
        assert not listed.listing.covers("a")
        await listed.run(3)
        assert listed.pauses == [RETRY_SECONDS, RETRY_SECONDS, LATER_RETRY_SECONDS]
        assert listed.listing.some.is_set()
        assert listed.listing.covers("a")
        assert listed.cache.get("Job", "a", "job") is not None

    list_first(script)


def test_a_forbidden_namespace_does_not_delay_the_others_and_is_listed_once_allowed() -> None:
    async def script(listed: Listed) -> None:
        listed.server.faults = [Fault(403, path="/namespaces/a/")] * 2
        await listed.run(2)
        assert listed.listing.some.is_set()
        assert (listed.listing.covers("a"), listed.listing.covers("b")) == (False, True)
        await listed.run(3)
        assert listed.listing.covers("a")
        assert listed.cache.get("Job", "a", "job") is not None

    list_first(script, "a", "b")


def test_a_listed_namespace_is_not_listed_again() -> None:
    async def script(listed: Listed) -> None:
        await listed.run(1)
        listed.server.requests.clear()
        await listed.run(3)
        assert listed.server.requests == []

    list_first(script, "a", "b")


def test_a_failed_list_is_logged_with_the_namespace_and_the_fix(caplog: Any) -> None:
    async def script(listed: Listed) -> None:
        listed.server.faults = [Fault(404, path="/a/trainingruns"), Fault(403, path="/b/", body={"message": "no Role"})]
        await listed.run(1)

    list_first(script, "a", "b")
    assert "CustomResourceDefinition trainingruns.deepsynth.io is not installed; apply crds/" in caplog.text
    assert "of namespace b: no Role; retrying" in caplog.text
