"""/healthz, /readyz and /metrics."""

from collections.abc import Callable, Iterable
from typing import Final

from aiohttp import web

from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.process.metrics import Metrics

STALLED_SECONDS: Final = 300.0
"""Longer than any reconcile may take, so that one which hangs is not taken for all of them."""
SILENT_SECONDS: Final = 60.0


class Health:
    """get_silence: plural -> seconds for which its watch has been silent."""

    def __init__(self, queue: WorkQueue[ResourceKey], get_silence: Callable[[], Iterable[tuple[str, float]]]) -> None:
        self._queue, self._get_silence = queue, get_silence
        self.is_ready = False
        """Set after the first listing."""

    def find_trouble(self) -> str | None:
        """Why this process should be started anew; None when all is well."""
        stalled = self._queue.stalled_seconds
        if stalled > STALLED_SECONDS:
            return f"the queue stands still: {self._queue.depth} resources wait, none was finished for {stalled:.0f} s"
        for plural, seconds in self._get_silence():
            if seconds > SILENT_SECONDS:
                return f"the watch of {plural} has been silent for {seconds:.0f} s"
        return None


def build_application(health: Health, metrics: Metrics) -> web.Application:
    async def answer_liveness(_: web.Request) -> web.Response:
        trouble = health.find_trouble()
        return web.Response(text=trouble or "ok", status=503 if trouble else 200)

    async def answer_readiness(_: web.Request) -> web.Response:
        text = "ok" if health.is_ready else "the first listing is not complete"
        return web.Response(text=text, status=200 if health.is_ready else 503)

    async def answer_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    application = web.Application()
    application.router.add_get("/healthz", answer_liveness)
    application.router.add_get("/readyz", answer_readiness)
    application.router.add_get("/metrics", answer_metrics)
    return application


async def serve(application: web.Application, host: str, port: int) -> web.AppRunner:
    """Serve until the runner is cleaned up."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host or None, port).start()
    return runner
