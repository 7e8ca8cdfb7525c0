"""What others see of a step: GET /report while it runs, the termination message at its end, and lines in the log."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.report import Failure, PlanReport, PublishReport, RenderReport, Report
from deepsynth_api.report_fit import dump_report, fit_report
from deepsynth_api.workload import NODE_NAME_VARIABLE, REPORT_ADDRESS_VARIABLE, TERMINATION_LOG_VARIABLE
from deepsynth_store import Waiting

StepName = Literal["plan", "render", "publish"]
Part = PlanReport | RenderReport | PublishReport

_logger = logging.getLogger(__name__)
METRICS = {
    "documents": "Documents rendered.",
    "documents_total": "Documents to render.",
    "rows": "Rows published.",
    "pages": "Pages rendered or published.",
    "bytes": "Bytes of pages written or published.",
    "pages_per_second": "Pages per second since the start of this process.",
}
"""Fields of RenderReport and PublishReport that are exported as metrics, with their help texts."""


class Reporter:
    """Holds the newest report of one step. The main thread replaces it, the server's threads read it."""

    def __init__(self, step: StepName, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._step: StepName = step
        self._clock = clock
        self._part: Part | None = None
        self._failure: Failure | None = None
        self._waiting = ("", 0.0)

    def show(self, part: Part) -> None:
        """Replace the report. The step is at work, so any wait is over."""
        self._part, self._waiting = part, ("", 0.0)

    def fail(self, reason: str, message: str, exit_code: int, exception: BaseException | None = None) -> None:
        """Record why the step failed."""
        self._failure = Failure(
            reason=reason,
            message=message,
            exit_code=exit_code,
            node=os.environ.get(NODE_NAME_VARIABLE),
            exception=type(exception).__name__ if exception else None,
        )

    def on_wait(self, waiting: Waiting) -> None:
        """Report why the store pauses, until the pause is over."""
        self._waiting = (waiting.reason, self._clock() + waiting.seconds)
        self.log(f"waiting {waiting.seconds:.0f} s: {waiting.reason}")

    def log(self, line: str) -> None:
        _logger.info(line)

    def build_report(self) -> Report:
        parts = {} if self._part is None else {self._step: self._add_waiting(self._part)}
        return Report.model_validate({"step": self._step, "time": datetime.now(UTC), "failure": self._failure, **parts})

    def write_termination_message(self) -> None:
        """Write the report to the file named by DEEPSYNTH_TERMINATION_LOG, if any; Kubernetes keeps its content."""
        if path := os.environ.get(TERMINATION_LOG_VARIABLE):
            Path(path).write_text(fit_report(self.build_report()), encoding="utf-8")

    @contextlib.contextmanager
    def serve(self) -> Iterator[None]:
        """Answer /report, /metrics and /healthz at DEEPSYNTH_REPORT_ADDRESS for the duration of the block."""
        address = os.environ.get(REPORT_ADDRESS_VARIABLE)
        if not address:
            yield
            return
        with _open_server(address, self) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            try:
                yield
            finally:
                server.shutdown()

    def _add_waiting(self, part: Part) -> Part:
        reason, until = self._waiting
        seconds = until - self._clock()
        if seconds <= 0:
            return part
        return part.model_copy(update={"waiting": f"{reason}, for another {seconds:.0f} s"})


def _open_server(address: str, reporter: Reporter) -> ThreadingHTTPServer:
    host, _, port = address.rpartition(":")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = _answer(self.path, reporter)
            self.send_response(200 if answer else 404)
            self.send_header("Content-Type", answer[0] if answer else "text/plain")
            self.end_headers()
            self.wfile.write(answer[1].encode() if answer else b"see /report, /metrics and /healthz\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            """Do not log requests: the operator polls every few seconds."""

    try:
        return ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigurationError(f"{REPORT_ADDRESS_VARIABLE}: cannot listen on {address!r} ({error})") from error


def _answer(path: str, reporter: Reporter) -> tuple[str, str] | None:
    """Content type and body of an answer, None for an unknown path."""
    if path == "/report":
        return "application/json", dump_report(reporter.build_report())
    if path == "/metrics":
        return "text/plain; version=0.0.4", format_metrics(reporter.build_report())
    return ("text/plain", "ok\n") if path == "/healthz" else None


def format_metrics(report: Report) -> str:
    """The numbers of the running step as Prometheus gauges."""
    part = report.render or report.publish
    values = {name: getattr(part, name) for name in METRICS if hasattr(part, name)}
    prefix = f"deepsynth_{report.step}_"
    return "".join(
        f"# HELP {prefix}{name} {METRICS[name]}\n# TYPE {prefix}{name} gauge\n{prefix}{name} {value}\n"
        for name, value in values.items()
    )
