"""Pods of a hostile user on loopback: each address answers GET /report in another bad way."""

import asyncio
import itertools
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Queue
from typing import Final

from aiohttp import web

from deepsynth_api.workload import REPORT_PORT

_NETWORK: Final = f"127.{192 + os.getpid() // 250 % 32}.{os.getpid() % 250}."
"""Of this process: all pods have the same port, and several tests may run at the same time."""
ADDRESSES: Final = {
    name: f"{_NETWORK}{number}"
    for number, name in enumerate(("slow", "largest", "drawn", "digits", "silent", "endless"), start=1)
}
"""slow: just under the time limit. largest: the longest report, another each time. drawn: from the schema.
digits: numbers of 310 digits. silent: no answer. endless: an answer that never ends."""


class HostilePods:
    """drawn: texts of reports. answers: how many were given, by name of the address."""

    def __init__(self, drawn: Sequence[str]) -> None:
        self.answers: Counter[str] = Counter()
        self._drawn = itertools.cycle(drawn)
        self._numbers = itertools.count()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        address = request.transport.get_extra_info("sockname")[0] if request.transport else ""
        name = next(name for name, known in ADDRESSES.items() if known == address)
        self.answers[name] += 1
        match name:
            case "slow":
                await asyncio.sleep(1.9)
                return web.Response(text=_build_report(step=next(self._numbers)))
            case "largest":
                notes = [f"{next(self._numbers)}{chr(27)}[2J\n" + "\U0001f600" * 250 for _ in range(60)]
                return web.Response(text=_build_report(step=next(self._numbers), notes=notes)[:65_536])
            case "drawn":
                return web.Response(text=next(self._drawn))
            case "digits":
                return web.Response(text=_build_report(step=7).replace(": 7", f": 1{'0' * 309}"))
            case "silent":
                await asyncio.sleep(3600)
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)
            await asyncio.sleep(0.01)


def _build_report(**train: object) -> str:
    fields = {"attempt": 1, "phase": "step", "totalSteps": 10**6, **train}
    return json.dumps({"step": "train", "time": "2026-01-02T03:04:05Z", "train": fields}, ensure_ascii=False)


@contextmanager
def serve_hostile_pods(drawn: Sequence[str]) -> Iterator[HostilePods]:
    """Let the addresses listen, in a thread of their own."""
    served: Queue[Callable[[], object]] = Queue()
    pods = HostilePods(drawn)

    async def main() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application()
        application.router.add_get("/report", pods.answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        for address in ADDRESSES.values():
            await web.TCPSite(runner, address, REPORT_PORT).start()
        served.put(lambda: loop.call_soon_threadsafe(stop.set))
        await stop.wait()
        for site in list(runner.sites):
            await site.stop()
        await asyncio.sleep(0.2)  # connections that were accepted just now are known to the runner only then
        await runner.cleanup()
        await asyncio.sleep(0.2)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    stop = served.get(timeout=60)
    try:
        yield pods
    finally:
        stop()
        thread.join()
