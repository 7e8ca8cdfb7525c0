"""Reads GET /report of pods. They run user code, so nothing they send is trusted: size, time, redirects, content."""

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from weakref import WeakValueDictionary

import aiohttp

from deepsynth_api.delays import compute_delay
from deepsynth_api.report import REPORT_BYTES, Report, parse_report
from deepsynth_api.workload import REPORT_PORT
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.kubernetes.api.api_server import read_at_most

SPARED_SECONDS: Final = 30.0
MAX_SPARED_SECONDS: Final = 600.0
"""A pod that did not answer in time is not asked for SPARED_SECONDS, doubled each time, and then asked last. Behind
a network policy it will never answer, and each timeout costs time."""
CONCURRENCY: Final = 256
"""How many pods are asked at the same time."""
CONCURRENCY_BY_PROXY: Final = 32
"""The same through the API server's proxy: as many as ApiServer sends of its own requests."""
LOG_SECONDS: Final = 60.0
_NAMESPACE_SHARE: Final = 2
_RESOURCE_SHARE: Final = 4
"""A namespace gets at most half of the connections, and a resource a quarter: silent or slow pods do not delay those of
other users, or of other resources of the same user."""
PollResult = Literal["read", "unreachable", "silent", "refused", "invalid"]
_logger = logging.getLogger(__name__)
ReadByProxy = Callable[[str, str], Awaitable[bytes | None]]
"""Namespace and name of the pod -> the first bytes of its answer to GET /report, or None."""


@dataclass(frozen=True, slots=True)
class _Silence:
    """How often in a row a pod did not answer, and until when it is not asked."""

    until: float = float("-inf")
    times: int = 0


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """In seconds."""

    pod: float = 2.0
    """For one pod."""
    resource: float = 10.0
    """For all pods of a resource together: thousands of silent pods must not delay its decision."""


class ReportReader:
    """count: called with the result of every poll. by_proxy: used instead of a connection to the pod's address."""

    def __init__(
        self,
        count: Callable[[PollResult], None],
        by_proxy: ReadByProxy | None = None,
        *,
        concurrency: int = CONCURRENCY,
        port: int = REPORT_PORT,
        limits: ReadLimits = ReadLimits(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count, self._by_proxy, self._port = count, by_proxy, port
        self._limits, self._clock = limits, clock
        self._per_namespace = concurrency // _NAMESPACE_SHARE
        self._per_resource = concurrency // _RESOURCE_SHARE
        self._namespaces: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """The connections of each namespace that is being read."""
        self._silent: dict[str, _Silence] = {}
        """By the pod's uid."""
        self._late: dict[str, tuple[float, int]] = {}
        """By namespace: when late reports were logged last, and how many there were since."""
        self._slots = asyncio.Semaphore(concurrency)
        self._turn = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def read_all(self, pods: Sequence[Manifest]) -> dict[str, Report]:
        """Reports of the pods of one resource, by uid. Pods that did not answer in time are missing."""
        now, reports, slots = self._clock(), dict[str, Report](), asyncio.Semaphore(self._per_resource)
        self._forget(now)
        due = [pod for pod in pods if self._get_silence(pod).until <= now]
        late = {pod["metadata"]["uid"] for pod in due}

        async def read(pod: Manifest) -> None:
            async with slots, self._get_share(pod["metadata"]["namespace"]), self._slots:
                await self._take_turn()
                if (report := await self._read(pod)) is not None:
                    reports[pod["metadata"]["uid"]] = report
            late.discard(pod["metadata"]["uid"])

        try:
            async with asyncio.timeout(self._limits.resource):
                await asyncio.gather(*(read(pod) for pod in sorted(due, key=lambda pod: self._get_silence(pod).times)))
        except TimeoutError:
            if late:
                self._note_late(due[0]["metadata"]["namespace"], len(late))
        return reports

    async def _take_turn(self) -> None:
        """One read begins in each turn of the event loop. A hundred in one turn would delay every reconcile.

        What follows a beginning, such as the answer, then comes in different turns, too.
        """
        async with self._turn:
            await asyncio.sleep(0)

    def _note_late(self, namespace: str, pods: int) -> None:
        """Log it at once, and then once a minute with their number since: each run of a namespace may be late."""
        now = self._clock()
        begin, count = self._late.get(namespace, (now - LOG_SECONDS, 0))
        if now < begin + LOG_SECONDS:
            self._late[namespace] = begin, count + pods
            return
        self._late[namespace] = now, 0
        text = "namespace %s: %d reports of pods were not read within %.0f s; progress is shown late"
        _logger.warning(text, namespace, count + pods, self._limits.resource)

    def _get_share(self, namespace: str) -> asyncio.Semaphore:
        return self._namespaces.setdefault(namespace, asyncio.Semaphore(self._per_namespace))

    async def _read(self, pod: Manifest) -> Report | None:
        result, text = await self._fetch(pod)
        if result == "silent":
            self._spare(pod)
        else:
            self._silent.pop(pod["metadata"]["uid"], None)
        report = parse_report(text) if result == "read" else None
        self._count("invalid" if result == "read" and report is None else result)
        return report

    async def _fetch(self, pod: Manifest) -> tuple[PollResult, bytes]:
        try:
            async with asyncio.timeout(self._limits.pod):
                if self._by_proxy is not None:
                    text = await self._by_proxy(pod["metadata"]["namespace"], pod["metadata"]["name"])
                    return ("unreachable", b"") if text is None else ("read", text)
                return await self._connect(pod["status"].get("podIP", ""))
        except TimeoutError:
            return "silent", b""
        except (aiohttp.ClientError, OSError, ValueError):
            return "unreachable", b""

    def _get_silence(self, pod: Manifest) -> _Silence:
        return self._silent.get(pod["metadata"]["uid"], _Silence())

    def _spare(self, pod: Manifest) -> None:
        times = self._get_silence(pod).times + 1
        seconds = compute_delay(times, first=SPARED_SECONDS, longest=MAX_SPARED_SECONDS)
        self._silent[pod["metadata"]["uid"]] = _Silence(self._clock() + seconds, times)

    def _forget(self, now: float) -> None:
        """Drop pods that have not been asked for a long time: they are gone."""
        oldest = now - MAX_SPARED_SECONDS
        self._silent = {uid: silence for uid, silence in self._silent.items() if silence.until > oldest}
        self._late = {name: late for name, late in self._late.items() if late[0] > oldest}

    async def _connect(self, address: str) -> tuple[PollResult, bytes]:
        session = self._open_session()
        url = build_report_url(address, self._port)
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status != 200:
                return "refused", b""
            # One byte more than the limit, to distinguish a report of that size from a longer one.
            return "read", await read_at_most(answer.content, REPORT_BYTES + 1)

    def _open_session(self) -> aiohttp.ClientSession:
        """A session without proxies, cookies or decompression: a small answer must not expand into a big one."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                connector=aiohttp.TCPConnector(force_close=True, limit=0),
            )
        return self._session


def build_report_url(address: str, port: int) -> str:
    """Raises ValueError unless `address` is an IP address: a name could be resolved to any host."""
    ip = ipaddress.ip_address(address)
    return f"http://[{ip}]:{port}/report" if ip.version == 6 else f"http://{ip}:{port}/report"
