"""The HTTP endpoints /healthz, /readyz and /metrics, and when the process counts as unhealthy."""

from collections.abc import Callable, Iterable
from typing import Final

from aiohttp import web

from deepsynth_api.counted import counted
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.process.metrics import Metrics

STALLED_SECONDS: Final = 300.0
"""How long the queue may be stuck. Longer than any reconcile may take, so that a slow one does not count."""
SILENT_SECONDS: Final = 60.0
"""How long a watch may be behind the API server."""


class Health:
    """get_silence: for each kind, its plural and for how many seconds its watch has been silent.

    is_leading: whether this process works on the queue. One that waits to take over is ready, and its queue may fill.
    """

    def __init__(
        self,
        queue: WorkQueue[ResourceKey],
        get_silence: Callable[[], Iterable[tuple[str, float]]],
        is_leading: Callable[[], bool] = lambda: True,
    ) -> None:
        self._queue, self._get_silence, self._is_leading = queue, get_silence, is_leading
        self.is_ready = False
        """Set once a namespace has been listed."""

    def find_trouble(self) -> str | None:
        """Why this process should be restarted; None if it is healthy."""
        stalled = self._queue.stalled_seconds if self._is_leading() else 0.0
        if stalled > STALLED_SECONDS:
            waiting = counted(self._queue.depth, "resource")
            return f"the queue is stuck: {waiting} waiting, no reconcile ended for {stalled:.0f} s"
        for plural, seconds in self._get_silence():
            if seconds > SILENT_SECONDS:
                return f"the watch of {plural} has been silent for {seconds:.0f} s"
        return None


def build_application(health: Health, metrics: Metrics) -> web.Application:
    async def answer_liveness(_: web.Request) -> web.Response:
        trouble = health.find_trouble()
        return web.Response(text=trouble or "ok", status=503 if trouble else 200)

    async def answer_readiness(_: web.Request) -> web.Response:
        text = "ok" if health.is_ready else "the first list of resources is not complete"
        return web.Response(text=text, status=200 if health.is_ready else 503)

    async def answer_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    application = web.Application()
    application.router.add_get("/healthz", answer_liveness)
    application.router.add_get("/readyz", answer_readiness)
    application.router.add_get("/metrics", answer_metrics)
    return application


async def serve(application: web.Application, host: str, port: int) -> web.AppRunner:
    """Start serving; it ends with `await runner.cleanup()`."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host or None, port).start()
    return runner
