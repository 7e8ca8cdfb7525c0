"""Reports of pods that may answer anything, late, or not at all."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from deepsynth_api.report import REPORT_BYTES
from deepsynth_operator.api_server import ApiServer
from deepsynth_operator.report_reader import SPARED_SECONDS, ReportReader, build_report_url
from fake_api_server import Client, Fault, serve_api

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
REPORT = {"step": "train", "time": "2026-01-02T03:04:05Z", "train": {"attempt": 1, "step": 7}}
POD: dict[str, Any] = {"metadata": {"name": "p", "namespace": "a", "uid": "u"}, "status": {"podIP": "127.0.0.1"}}


@asynccontextmanager
async def serve_pod(answer: Answer) -> AsyncIterator[int]:
    """The port at which a pod answers so."""
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def poll(answer: Answer, pod: Any = POD) -> tuple[Any, list[str]]:
    """The report that is read from a pod which answers so, and what was counted."""

    async def main() -> tuple[Any, list[str]]:
        counted: list[str] = []
        async with serve_pod(answer) as port:
            reader = ReportReader(counted.append, port=port)
            report = await reader.read(pod)
            await reader.close()
            return report, counted

    return asyncio.run(main())


def test_a_report_is_read_from_the_pods_address() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.path == "/report"
        return web.json_response(REPORT)

    report, counted = poll(answer)
    assert report.train.step == 7
    assert counted == ["read"]


def test_a_redirect_is_not_followed() -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/report":
            raise web.HTTPFound("/elsewhere")
        return web.json_response(REPORT)

    assert poll(answer) == (None, ["refused"])


def test_what_is_no_report_is_none() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"step": "train", "time": "yesterday"})

    assert poll(answer) == (None, ["invalid"])


def test_an_endless_answer_is_read_up_to_the_limit() -> None:
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1024)
            sent += 1024

    report, counted = poll(answer)
    assert (report, counted) == (None, ["invalid"])
    assert sent < 100 * REPORT_BYTES


def test_a_report_that_is_too_long_is_none_even_where_its_beginning_parses() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=json.dumps(REPORT).ljust(REPORT_BYTES))

    async def answer_too_much(_: web.Request) -> web.Response:
        return web.Response(text=json.dumps(REPORT).ljust(REPORT_BYTES + 1))

    assert poll(answer)[1] == ["read"]
    assert poll(answer_too_much) == (None, ["invalid"])


def test_compressed_answers_are_not_unpacked() -> None:
    async def answer(_: web.Request) -> web.Response:
        response = web.json_response(REPORT)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    assert poll(answer) == (None, ["invalid"])


def test_a_pod_that_does_not_answer_in_time_is_spared_for_a_while() -> None:
    now, asked = 1000.0, 0
    silent = True

    async def answer(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if silent:
            await asyncio.sleep(10)
        return web.json_response(REPORT)

    async def main() -> None:
        nonlocal now, silent
        async with serve_pod(answer) as port:
            counted: list[str] = []
            reader = ReportReader(counted.append, port=port, clock=lambda: now)
            assert await reader.read(POD) is None
            silent = False
            assert await reader.read(POD) is None
            assert (asked, counted) == (1, ["silent"])
            assert await reader.read({**POD, "metadata": {**POD["metadata"], "uid": "other"}}) is not None
            now += SPARED_SECONDS
            assert await reader.read(POD) is not None
            await reader.close()

    asyncio.run(main())


@pytest.mark.parametrize("address", ["", "metadata.internal", "127.0.0.1:80/x?", "::1"])
def test_an_address_that_is_none_or_does_not_answer_is_unreachable(address: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(REPORT)

    assert poll(answer, {**POD, "status": {"podIP": address}}) == (None, ["unreachable"])


def test_addresses_of_both_kinds_become_urls() -> None:
    assert build_report_url("10.0.0.1", 8470) == "http://10.0.0.1:8470/report"
    assert build_report_url("fd00::1", 8470) == "http://[fd00::1]:8470/report"


def test_reports_come_through_the_api_server_where_that_is_set() -> None:
    async def main() -> None:
        async with serve_api() as server, Client(server) as api:
            path = "/api/v1/namespaces/a/pods/p:8470/proxy/report"
            server.faults = [Fault(200, path=path, body=REPORT), Fault(503, path=path), Fault(302, path=path)]
            assert [await read_by_proxy(api) for _ in range(4)] == [7, None, None, None]

    async def read_by_proxy(api: ApiServer) -> int | None:
        report = await ReportReader(lambda _result: None, api.read_report).read(POD)
        return report.train.step if report and report.train else None

    asyncio.run(main())
