"""The operator as a process of this machine, on the API server of a kubeconfig."""

import os
import re
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.support.api import wait_until
from support.free_port import find_free_port

ANSWER_SECONDS = 10


@dataclass(frozen=True)
class OperatorProcess:
    process: subprocess.Popen[bytes]
    port: int

    @property
    def pids(self) -> tuple[int, ...]:
        return (self.process.pid,)

    def read_metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=ANSWER_SECONDS) as answer:
            text: str = answer.read().decode()
            return text

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=ANSWER_SECONDS) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def count_requests(self) -> Counter[str]:
        pattern = re.compile(r'^deepsynth_api_requests_total\{code="(\d+)",resource="([^"]*)",verb="([^"]*)"\} (\S+)$')
        found = (pattern.match(line) for line in self.read_metrics().splitlines())
        counts: Counter[str] = Counter()
        for match in filter(None, found):
            counts[f"{match[3]} {match[2]}"] += int(float(match[4]))
        return counts

    def get_mebibytes(self) -> float:
        """Its peak memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert match is not None
        return int(match[1]) / 1024


@contextmanager
def run_operator(kubeconfig: Path, log: Path, variables: Mapping[str, str] | None = None) -> Iterator[OperatorProcess]:
    """Ready, until the block ends. variables: more of its environment."""
    port = find_free_port()
    own = {"KUBECONFIG": str(kubeconfig), "DEEPSYNTH_HTTP_ADDRESS": f"127.0.0.1:{port}"}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "deepsynth_operator"]
        process = subprocess.Popen(
            command, env={**os.environ, **own, **(variables or {})}, stdout=output, stderr=output
        )
    operator = OperatorProcess(process, port)
    try:
        wait_until("the operator to be ready", operator.is_ready, 120, log.read_text)
        yield operator
    finally:
        process.terminate()
        try:
            assert process.wait(timeout=120) == 0, log.read_text()[-2000:]
        finally:
            process.kill()
