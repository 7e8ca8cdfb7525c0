"""GET /report (JSON), /metrics (Prometheus) and /healthz, served by a thread of the launcher."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from deepsynth_api.report import Report
from deepsynth_api.report_fit import dump_report

RUN_GAUGES = {
    "attempt": "Number of the attempt.",
    "step": "Optimizer steps done.",
    "total_steps": "Optimizer steps to do.",
    "epoch": "Passes over the data.",
    "loss": "Training loss per label token.",
    "grad_norm": "Gradient norm before clipping.",
    "learning_rate": "Learning rate of the last step.",
    "samples_per_second": "Samples per second, over all processes.",
    "pages_per_second": "Pages per second, over all processes.",
    "label_tokens_per_second": "Tokens of labels per second, over all processes.",
    "remaining_seconds": "Estimated seconds to the end of training.",
    "saved_step": "Newest step in a complete checkpoint.",
}
"""Fields of TrainReport that are exported as metrics, with their help texts.

They are of the whole run and the same on all nodes, so the first node exports them: a sum over the pods is right.
"""
NODE_GAUGES = {
    "data_wait_share": "Share of time that the first worker of the node spent waiting for pages, 0 to 1.",
    "peak_memory_bytes": "Peak memory of the first worker of the node.",
}
"""Those that every node exports of itself."""


class _TrainCollector(Collector):
    def __init__(self, build: Callable[[], Report], node_rank: int) -> None:
        self._build = build
        self._gauges = NODE_GAUGES if node_rank else RUN_GAUGES | NODE_GAUGES

    def collect(self) -> Iterator[Metric]:
        train = self._build().train
        for name, documentation in self._gauges.items():
            value = getattr(train, name, None)
            if value is not None:
                yield GaugeMetricFamily(f"deepsynth_train_{name}", documentation, value=value)


def start_report_server(address: str, build: Callable[[], Report], *, node_rank: int = 0) -> ThreadingHTTPServer:
    """Serve at HOST:PORT until the process ends. Raises OSError when the address is in use."""
    registry = CollectorRegistry()
    registry.register(_TrainCollector(build, node_rank))
    host, _, port = address.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), _build_handler(build, registry))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="report server", daemon=True).start()
    return server


def _build_handler(build: Callable[[], Report], registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    def answer(path: str) -> tuple[int, str, bytes]:
        if path == "/report":
            return 200, "application/json", dump_report(build()).encode()
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
        if path == "/healthz":
            return 200, "text/plain", b"ok\n"
        return 404, "text/plain", b"not found: GET /report, /metrics or /healthz\n"

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            status, kind, body = answer(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
            """Do not log polls."""

    return Handler
