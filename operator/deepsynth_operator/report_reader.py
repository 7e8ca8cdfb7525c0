"""GET /report of pods. They run code of users, so nothing they send is trusted: size, time, redirects, content."""

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import aiohttp

from deepsynth_api.report import REPORT_BYTES, Report, parse_report
from deepsynth_api.workload import REPORT_PORT
from deepsynth_operator.bounded_read import read_at_most
from deepsynth_operator.observed import Manifest

REPORT_TIMEOUT_SECONDS: Final = 2.0
SPARED_SECONDS: Final = 30.0
"""A pod that did not answer in time is left alone for so long: behind a network policy it never will, and each wait
takes a worker's time."""
PollResult = Literal["read", "unreachable", "silent", "refused", "invalid"]
ReadByProxy = Callable[[str, str], Awaitable[bytes | None]]
"""Namespace and pod -> the first bytes of the answer to GET /report, or None."""


class ReportReader:
    """count: called with the result of every poll. by_proxy: reads in place of a connection to the pod's address."""

    def __init__(
        self,
        count: Callable[[PollResult], None],
        by_proxy: ReadByProxy | None = None,
        *,
        concurrency: int = 64,
        port: int = REPORT_PORT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count, self._by_proxy, self._port, self._clock = count, by_proxy, port, clock
        self._spared: dict[str, float] = {}
        """Until when, by the pod's uid."""
        self._slots = asyncio.Semaphore(concurrency)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def read(self, pod: Manifest) -> Report | None:
        """The pod's report, or None when there is none in time."""
        uid = pod["metadata"]["uid"]
        if self._clock() < self._spared.get(uid, 0.0):
            return None
        async with self._slots:
            result, text = await self._fetch(pod)
        if result == "silent":
            self._spare(uid)
        report = parse_report(text) if result == "read" else None
        self._count("invalid" if result == "read" and report is None else result)
        return report

    async def _fetch(self, pod: Manifest) -> tuple[PollResult, bytes]:
        try:
            async with asyncio.timeout(REPORT_TIMEOUT_SECONDS):
                if self._by_proxy is not None:
                    text = await self._by_proxy(pod["metadata"]["namespace"], pod["metadata"]["name"])
                    return ("unreachable", b"") if text is None else ("read", text)
                return await self._connect(pod["status"].get("podIP", ""))
        except TimeoutError:
            return "silent", b""
        except (aiohttp.ClientError, OSError, ValueError):
            return "unreachable", b""

    def _spare(self, uid: str) -> None:
        now = self._clock()
        self._spared = {known: until for known, until in self._spared.items() if until > now}
        self._spared[uid] = now + SPARED_SECONDS

    async def _connect(self, address: str) -> tuple[PollResult, bytes]:
        session = self._open_session()
        url = build_report_url(address, self._port)
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status != 200:
                return "refused", b""
            # One byte more than is allowed tells a report of just that size from one that is too long.
            return "read", await read_at_most(answer.content, REPORT_BYTES + 1)

    def _open_session(self) -> aiohttp.ClientSession:
        """Without proxies, cookies or decompression: a small answer must not become a big one."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                connector=aiohttp.TCPConnector(force_close=True, limit=0),
            )
        return self._session


def build_report_url(address: str, port: int) -> str:
    """Raises ValueError for what is no IP address: a name would be looked up, and could be anything."""
    ip = ipaddress.ip_address(address)
    return f"http://[{ip}]:{port}/report" if ip.version == 6 else f"http://{ip}:{port}/report"
