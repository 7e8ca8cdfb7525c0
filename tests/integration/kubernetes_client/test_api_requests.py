"""Requests to an API server that is busy, broken, slow, cut off or redirecting."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from deepsynth_operator.core.errors import ClusterError, LeadershipLost
from deepsynth_operator.kubernetes.api import api_server
from deepsynth_operator.kubernetes.api.api_server import (
    MAX_RETRY_AFTER_SECONDS,
    PAGE_SIZE,
    RETRIES,
    ApiRefusal,
    ApiServer,
    ContentType,
    Verb,
)
from support.cluster.fake_api_server import Client, FakeApiServer, Fault, serve_api

NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}


def talk(script: Callable[[FakeApiServer, Client, ApiServer], Awaitable[None]], **options: Any) -> None:
    """Run `script` with a server that has one node, and a client for it."""

    async def main() -> None:
        async with serve_api() as server:
            client = Client(server, **options)
            async with client as api:
                server.put(NODE)
                await script(server, client, api)

    asyncio.run(main())


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_temporary_error_is_retried(status: int) -> None:
    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        server.faults = [Fault(status), Fault(status)]
        assert (await api.request("get", "Node", None, "n1"))["metadata"]["name"] == "n1"
        assert client.counted == [("get", "nodes", str(status))] * 2 + [("get", "nodes", "200")]

    talk(script)


def test_pauses_between_tries_grow() -> None:
    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        server.faults = [Fault(500)] * RETRIES
        await api.request("get", "Node", None, "n1")
        assert len(client.pauses) == RETRIES
        for number, pause in enumerate(client.pauses):
            assert 0.125 * 2**number <= pause <= 0.375 * 2**number

    talk(script)


def test_a_retry_waits_for_retry_after() -> None:
    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        server.faults = [Fault(429, headers={"Retry-After": "7"})]
        await api.request("get", "Node", None, "n1")
        assert client.pauses == [7.0]

    talk(script)


def test_a_retry_waits_for_retry_after_up_to_a_limit() -> None:
    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        server.faults = [Fault(429, headers={"Retry-After": "3600"})]
        await api.request("get", "Node", None, "n1")
        assert client.pauses == [MAX_RETRY_AFTER_SECONDS]

    talk(script)


def test_the_last_try_raises_with_the_path_and_the_servers_message() -> None:
    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        server.faults = [Fault(500, body={"message": "etcdserver: request timed out"})] * (RETRIES + 1)
        with pytest.raises(ClusterError, match=r"get /api/v1/nodes/n1: etcdserver: request timed out"):
            await api.request("get", "Node", None, "n1")
        assert server.faults == []

    talk(script)


def test_a_cut_connection_is_retried() -> None:
    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        server.faults = [Fault(cut=True)]
        content_type: ContentType = "application/merge-patch+json"
        await api.request("patch", "Node", None, "n1", body={"spec": {}}, content_type=content_type)
        assert client.counted == [("patch", "nodes", "unreachable"), ("patch", "nodes", "200")]

    talk(script)


def test_a_slow_answer_is_retried() -> None:
    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        server.faults = [Fault(seconds=3600)]
        await api.request("get", "Node", None, "n1")
        codes = [code for *_, code in client.counted]
        assert (codes[0], codes[-1]) == ("unreachable", "200")

    talk(script, seconds=1)


def test_a_server_that_does_not_listen_is_a_cluster_error() -> None:
    async def main() -> None:
        async with serve_api() as server:
            pass
        async with Client(server) as api:
            with pytest.raises(ClusterError, match="get /api/v1/nodes/n1"):
                await api.request("get", "Node", None, "n1")

    asyncio.run(main())


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 413, 422])
def test_a_refusal_is_not_retried(status: int) -> None:
    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        details = {"causes": [{"reason": "NamespaceTerminating"}]}
        server.faults = [Fault(status, body={"reason": "Because", "message": "no", "details": details})]
        with pytest.raises(ApiRefusal, match="no") as refusal:
            await api.request("get", "Node", None, "n1")
        assert (refusal.value.status, refusal.value.reason) == (status, "Because")
        assert refusal.value.causes == {"NamespaceTerminating"}
        assert client.pauses == []

    talk(script)


def test_a_success_that_is_not_json_is_an_error() -> None:
    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        with pytest.raises(ClusterError, match="must be JSON, got b'<html>'"):
            await api.request("get", "Node", None, "n1")

    async def main() -> None:
        async def speak_html(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")
            writer.close()

        server = FakeApiServer()
        listener = await asyncio.start_server(speak_html, "127.0.0.1", 0)
        server.port = listener.sockets[0].getsockname()[1]
        client = Client(server)
        async with listener, client as api:
            await script(server, client, api)

    asyncio.run(main())


def test_a_redirect_is_not_followed() -> None:
    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        server.faults = [Fault(302, headers={"Location": "/api/v1/nodes/n1"})] * (RETRIES + 1)
        with pytest.raises(ClusterError, match="redirect"):
            await api.request("get", "Node", None, "n1")
        assert len(server.requests) == RETRIES + 1

    talk(script)


def test_a_list_is_read_page_by_page_with_its_selector() -> None:
    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        labels = {"app.kubernetes.io/managed-by": "deepsynth-operator"}
        for number in range(PAGE_SIZE + 1):
            metadata = {"name": f"j{number}", "namespace": "a", "labels": labels if number else {}}
            server.put({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata})
        pages = [page async for page in api.list_pages("Job", "a")]
        assert [len(page["items"]) for page in pages] == [PAGE_SIZE]
        server.put(
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x", "namespace": "a", "labels": labels}}
        )
        pages = [page async for page in api.list_pages("Job", "a")]
        assert [len(page["items"]) for page in pages] == [PAGE_SIZE, 1]
        assert [page["items"] async for page in api.list_pages("Job", "b")] == [[]]

    talk(script)


def test_a_page_of_large_objects_is_read_again_with_fewer_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's Jobs may have megabytes each: a hundred of them at once would exceed the operator's memory."""
    monkeypatch.setattr(api_server, "MAX_PAGE_BYTES", 10_000)

    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        for number in range(60):
            labels = {"app.kubernetes.io/managed-by": "deepsynth-operator"}
            size = 20_000 if number == 50 else 2_000 if 20 <= number < 40 else 10
            metadata = {"name": f"j{number:02}", "namespace": "a", "labels": labels, "annotations": {"a": "x" * size}}
            server.put({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata})
        pages = [page["items"] async for page in api.list_pages("Job", "a")]
        assert [item["metadata"]["name"] for page in pages for item in page] == [f"j{n:02}" for n in range(60)]
        assert all(len(json.dumps(page)) < 10_000 for page in pages if len(page) > 1)
        assert max(map(len, pages)) > 10, "small ones come together"

    talk(script)


def test_the_token_is_sent_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        server.faults = [Fault(401), Fault(500), Fault(cut=True)]
        await api.request("get", "Node", None, "n1")
        assert {seen.headers["Authorization"] for seen in server.requests} == {"bearer s3cret-token"}

    caplog.set_level(logging.DEBUG)
    talk(script, token="s3cret-token")
    assert "retrying" in caplog.text
    assert "s3cret" not in caplog.text


def test_the_number_of_concurrent_requests_is_limited() -> None:
    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        server.faults = [Fault(seconds=0.2)] * 12
        await asyncio.gather(*(api.request("get", "Node", None, "n1") for _ in range(12)))
        assert server.max_active == 3

    talk(script, concurrency=3)


def test_a_guard_is_asked_when_the_connection_is_ready_and_only_for_changes() -> None:
    """On a new connection as on one that is used again: nothing may happen between the question and the request."""
    allowed = True
    changes: list[tuple[Verb, str | None]] = [("create", None), ("update", "n1"), ("patch", "n1"), ("delete", "n1")]

    def guard() -> None:
        if not allowed:
            raise LeadershipLost("another process may lead")

    async def script(server: FakeApiServer, _: Client, api: ApiServer) -> None:
        nonlocal allowed
        for is_new in (True, False):
            allowed = False
            for verb, name in changes:
                with pytest.raises(LeadershipLost):
                    await api.request(verb, "Node", None, name, body={})
            assert [seen.method for seen in server.requests] == ["GET"] * (not is_new)
            await api.request("get", "Node", None, "n1")
        allowed = True
        await api.request("delete", "Node", None, "n1")
        assert [seen.method for seen in server.requests] == ["GET", "GET", "DELETE"]

    talk(script, guard=guard)


def test_a_guard_is_asked_again_at_each_try() -> None:
    asked: list[int] = []

    async def script(server: FakeApiServer, client: Client, api: ApiServer) -> None:
        server.faults = [Fault(503, method="DELETE"), Fault(cut=True, method="DELETE")]
        await api.request("delete", "Node", None, "n1")
        assert len(asked) >= len(client.pauses) + 1

    talk(script, guard=lambda: asked.append(1))
