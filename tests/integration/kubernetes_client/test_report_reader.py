"""Reading reports of pods that may answer anything, late, or not at all."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web

from deepsynth_api.report import REPORT_BYTES
from deepsynth_operator.kubernetes.api.api_server import ApiServer
from deepsynth_operator.kubernetes.reports.report_reader import (
    CONCURRENCY,
    CONCURRENCY_BY_PROXY,
    MAX_SPARED_SECONDS,
    SPARED_SECONDS,
    ReadLimits,
    ReportReader,
    build_report_url,
)
from support.clocks import virtual_time
from support.cluster.fake_api_server import Client, Fault, serve_api

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
REPORT = {"step": "train", "time": "2026-01-02T03:04:05Z", "train": {"attempt": 1, "step": 7}}
PATIENT = ReadLimits(pod=600, resource=3600)
"""For tests in real time: tolerate slow CI machines."""
POD: dict[str, Any] = {"metadata": {"name": "p", "namespace": "a", "uid": "u"}, "status": {"podIP": "127.0.0.1"}}


@asynccontextmanager
async def serve_pod(answer: Answer) -> AsyncIterator[int]:
    """The port of a pod that answers every request with `answer`."""
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def poll(answer: Answer, pod: Any = POD, limits: ReadLimits = PATIENT) -> tuple[Any, list[str]]:
    """The report read from a pod that answers with `answer`, and what was counted."""

    async def main() -> tuple[Any, list[str]]:
        counted: list[str] = []
        async with serve_pod(answer) as port:
            reader = ReportReader(counted.append, port=port, limits=limits)
            report = (await reader.read_all([pod])).get(pod["metadata"]["uid"])
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


def test_an_answer_that_is_not_a_report_is_ignored() -> None:
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


def test_a_report_that_is_too_long_is_ignored_even_if_its_beginning_parses() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=json.dumps(REPORT).ljust(REPORT_BYTES))

    async def answer_too_much(_: web.Request) -> web.Response:
        return web.Response(text=json.dumps(REPORT).ljust(REPORT_BYTES + 1))

    assert poll(answer)[1] == ["read"]
    assert poll(answer_too_much) == (None, ["invalid"])


def test_a_compressed_answer_is_not_decompressed() -> None:
    async def answer(_: web.Request) -> web.Response:
        response = web.json_response(REPORT)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    assert poll(answer) == (None, ["invalid"])


def test_a_pod_that_does_not_answer_in_time_is_silent() -> None:
    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        raise AssertionError

    assert poll(answer, limits=ReadLimits(pod=0.2, resource=3600)) == (None, ["silent"])


def test_a_silent_pod_is_not_asked_for_a_while_and_others_are() -> None:
    async def main() -> None:
        asked, counted, silent = 0, list[str](), True

        async def answer(_namespace: str, _name: str) -> bytes:
            nonlocal asked
            asked += 1
            if silent:
                await asyncio.sleep(3600)
            return json.dumps(REPORT).encode()

        reader = ReportReader(counted.append, answer, clock=asyncio.get_running_loop().time)
        other = {**POD, "metadata": {**POD["metadata"], "uid": "other"}}
        assert await reader.read_all([POD]) == {}
        silent = False
        assert (await reader.read_all([POD, other])).keys() == {"other"}
        assert (asked, counted) == (2, ["silent", "read"])
        await asyncio.sleep(SPARED_SECONDS)
        assert (await reader.read_all([POD])).keys() == {POD["metadata"]["uid"]}

    virtual_time.run(main())


@pytest.mark.parametrize("address", ["", "metadata.internal", "127.0.0.1:80/x?", "::1"])
def test_a_pod_without_an_ip_address_that_answers_is_unreachable(address: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(REPORT)

    assert poll(answer, {**POD, "status": {"podIP": address}}) == (None, ["unreachable"])


def test_ipv4_and_ipv6_addresses_become_urls() -> None:
    assert build_report_url("10.0.0.1", 8470) == "http://10.0.0.1:8470/report"
    assert build_report_url("fd00::1", 8470) == "http://[fd00::1]:8470/report"


def test_reports_are_read_through_the_api_server_if_configured() -> None:
    async def main() -> None:
        async with serve_api() as server, Client(server) as api:
            path = "/api/v1/namespaces/a/pods/p:8470/proxy/report"
            server.faults = [Fault(200, path=path, body=REPORT), Fault(503, path=path), Fault(302, path=path)]
            assert [await read_by_proxy(api) for _ in range(4)] == [7, None, None, None]

    async def read_by_proxy(api: ApiServer) -> int | None:
        for report in (
            await ReportReader(lambda _result: None, api.read_report, limits=PATIENT).read_all([POD])
        ).values():
            return report.train.step if report.train else None
        return None

    asyncio.run(main())


class SilentPods:
    """Pods whose names start with s never answer. The clock is the event loop's."""

    def __init__(self, concurrency: int = CONCURRENCY) -> None:
        clock = asyncio.get_running_loop().time
        self.reader = ReportReader(lambda _result: None, self._answer, concurrency=concurrency, clock=clock)

    async def _answer(self, _namespace: str, name: str) -> bytes:
        if name.startswith("s"):
            await asyncio.sleep(3600)
        return json.dumps(REPORT).encode()

    async def look(self, *names: str, namespace: str = "n") -> tuple[set[str], float]:
        """The pods that answered, and how many seconds it took."""
        begin = asyncio.get_running_loop().time()
        pods = [{"metadata": {"uid": name, "name": name, "namespace": namespace}, "status": {}} for name in names]
        heard = await self.reader.read_all(pods)
        return set(heard), asyncio.get_running_loop().time() - begin


def test_a_pod_among_thousands_of_silent_ones_is_read_and_each_read_is_limited() -> None:
    async def main() -> None:
        pods = SilentPods()
        names = [*(f"s{number}" for number in range(2000)), "good"]
        heard: set[str] = set()
        for _ in range(8):
            answered, seconds = await pods.look(*names)
            assert seconds <= ReadLimits().resource
            heard |= answered
            await asyncio.sleep(15)
        assert heard == {"good"}

    virtual_time.run(main())


def test_late_reports_are_logged_once_a_minute_for_each_namespace(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        pods = SilentPods(concurrency=8)
        for number in range(9):
            names = [f"s{number}-{pod}" for pod in range(100)]
            await asyncio.gather(pods.look(*names), pods.look(*names, namespace="other"), pods.look("good"))
            await asyncio.sleep(5)

    virtual_time.run(main())
    of_n = [line for line in caplog.messages if line.startswith("namespace n:")]
    assert len(of_n) == len([line for line in caplog.messages if line.startswith("namespace other:")]) == 3
    assert len(caplog.messages) == 6
    first, second = (int(line.split()[2]) for line in of_n[:2])
    assert 0 < first <= 100 < second, "those of the minute between are counted"


def test_silent_pods_of_some_resources_do_not_delay_others() -> None:
    async def main() -> None:
        pods = SilentPods()

        async def look_forever(owner: int) -> None:
            while True:
                await pods.look(*(f"s{owner}-{number}" for number in range(1000)))
                await asyncio.sleep(15)

        others = [asyncio.create_task(look_forever(owner)) for owner in range(5)]
        await asyncio.sleep(60)
        looks = []
        for _ in range(20):
            looks.append(await pods.look("good"))
            await asyncio.sleep(15)
        for task in others:
            task.cancel()
        assert [heard for heard, _ in looks] == [{"good"}] * 20
        assert max(seconds for _, seconds in looks) <= 4 * ReadLimits().pod

    virtual_time.run(main())


def test_pods_that_answer_just_in_time_do_not_delay_those_of_another_namespace() -> None:
    """640 runs whose pods answered after 1.9 s, and so never counted as silent, delayed other users by 75 s."""

    async def main() -> None:
        async def answer(_namespace: str, name: str) -> bytes:
            await asyncio.sleep(1.9 if name.startswith("s") else 0.01)
            return json.dumps(REPORT).encode()

        pods = SilentPods()
        pods.reader = ReportReader(lambda _result: None, answer, clock=asyncio.get_running_loop().time)

        async def look_forever(name: str) -> None:
            while True:
                await pods.look(name, namespace="slow")
                await asyncio.sleep(15)

        others = [asyncio.create_task(look_forever(f"s{number}")) for number in range(640)]
        looks = []
        for _ in range(20):
            await asyncio.sleep(5)
            looks.append(await pods.look("good", namespace="fast"))
        for task in others:
            task.cancel()
        assert [heard for heard, _ in looks] == [{"good"}] * 20
        assert max(seconds for _, seconds in looks) < 0.1

    virtual_time.run(main())


def test_reads_of_hundreds_of_pods_do_not_all_begin_in_one_turn_of_the_event_loop() -> None:
    """Each takes milliseconds of processor time, and a reconcile of another user waits for some twenty turns."""

    async def main() -> None:
        begun, in_a_turn = 0, list[int]()

        async def answer(_namespace: str, _name: str) -> bytes:
            nonlocal begun
            begun += 1
            await asyncio.sleep(0.01)
            return json.dumps(REPORT).encode()

        async def look(namespace: str) -> None:
            names = [f"{namespace}{number}" for number in range(100)]
            pods = [{"metadata": {"uid": name, "name": name, "namespace": namespace}, "status": {}} for name in names]
            assert len(await reader.read_all(pods)) == 100

        reader = ReportReader(lambda _result: None, answer, clock=asyncio.get_running_loop().time)
        looking = asyncio.gather(*(look(f"n{number}") for number in range(3)))
        while not looking.done():
            before = begun
            await asyncio.sleep(0)
            in_a_turn.append(begun - before)
        await looking
        assert max(in_a_turn) == 1

    asyncio.run(main())


def test_a_pod_that_stays_silent_is_asked_less_often_until_it_answers() -> None:
    async def main() -> None:
        asked: list[float] = []
        loop, silent = asyncio.get_running_loop(), True

        async def answer(_namespace: str, _name: str) -> bytes:
            asked.append(loop.time())
            if silent:
                await asyncio.sleep(3600)
            return json.dumps(REPORT).encode()

        reader = ReportReader(lambda _result: None, answer, clock=loop.time)
        for _ in range(3600):
            await reader.read_all([POD])
            await asyncio.sleep(1)
        waits = [round(after - before) for before, after in pairwise(asked)]
        assert waits[:4] == [SPARED_SECONDS + 2, 62, 122, 242]
        assert max(waits) <= MAX_SPARED_SECONDS + 3
        silent = False
        await asyncio.sleep(MAX_SPARED_SECONDS)
        assert await reader.read_all([POD])
        assert await reader.read_all([POD])

    virtual_time.run(main())


def test_silent_pods_behind_the_api_server_do_not_delay_other_requests() -> None:
    async def main() -> None:
        async with serve_api() as server, Client(server) as api:
            server.faults = [Fault(200, path="/proxy/report", seconds=3600)] * 999
            reader = ReportReader(
                lambda _result: None, api.read_report, concurrency=CONCURRENCY_BY_PROXY, limits=PATIENT
            )
            names = [(f"p{number}", f"n{number % 2}") for number in range(64)]
            pods = [{"metadata": {"uid": name, "name": name, "namespace": namespace}} for name, namespace in names]
            reading = [asyncio.create_task(reader.read_all(pods[start::8])) for start in range(8)]
            while len(server.requests) < CONCURRENCY_BY_PROXY:  # noqa: ASYNC110 - the server has no event
                await asyncio.sleep(0.05)
            await api.request("list", "Job", "n")
            assert len(server.requests) - 1 == CONCURRENCY_BY_PROXY
            for task in reading:
                task.cancel()

    asyncio.run(main())


def test_healthy_pods_behind_the_api_server_are_read_despite_silent_ones() -> None:
    async def main() -> None:
        pods = SilentPods(CONCURRENCY_BY_PROXY)
        names = [*(f"s{number}" for number in range(32)), *(f"good{number}" for number in range(8))]
        heard, _ = await pods.look(*names)
        await asyncio.sleep(15)
        heard |= (await pods.look(*names))[0]
        assert heard == set(names[32:])

    virtual_time.run(main())
