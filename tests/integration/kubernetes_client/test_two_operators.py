"""Two operator processes with a Lease: one works, the other takes over, and a former leader writes nothing more."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from deepsynth_api.exit_codes import ExitCode
from integration.kubernetes_client.fake_watches import WatchedApiServer, serve_in_a_thread
from integration.kubernetes_client.test_operator_command import write_kubeconfig
from support.cluster.fake_api_server import Fault, Seen
from support.free_port import find_free_port
from support.resources.builders import a_training_run

WATCHES: Final = 4
LEASE_PATH: Final = "/apis/coordination.k8s.io/v1/namespaces/system/leases/operator"
HANDOVER_SECONDS: Final = 5.0


class Pair:
    """Two processes on one server. The name of each is its token too, so that its requests can be recognised."""

    def __init__(self, server: WatchedApiServer, folder: Path) -> None:
        self.server, self._folder = server, folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        write_kubeconfig(self._folder / name, self.server, name)
        variables = {
            "KUBECONFIG": str(self._folder / name),
            "DEEPSYNTH_HTTP_ADDRESS": f"127.0.0.1:{find_free_port()}",
            "DEEPSYNTH_LEASE": "system/operator",
        }
        with (self._folder / f"{name}.log").open("wb") as log:
            command = [sys.executable, "-m", "deepsynth_operator"]
            self.processes[name] = subprocess.Popen(command, env={**os.environ, **variables}, stderr=log)

    def send(self, name: str, number: signal.Signals) -> None:
        self.processes[name].send_signal(number)

    def apply(self, name: str) -> None:
        self.server.put(a_training_run().named(name, uid=f"uid-of-{name}").to_manifest())

    def wait_until(self, check: Callable[[], object], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < deadline, self.read_logs()
            time.sleep(0.02)

    def wait_for_job(self, run: str) -> None:
        self.wait_until(lambda: self.server.get("Job", f"{run}-train-1"))

    def get_writes(self, name: str = "") -> list[Seen]:
        """Requests of a process, or of both, that changed anything other than the Lease."""
        seen = list(self.server.requests)
        mine = [item for item in seen if item.headers.get("Authorization", "").endswith(name)]
        return [item for item in mine if item.method != "GET" and "/leases" not in item.path]

    def count_created(self, plural: str) -> int:
        return len([seen for seen in self.get_writes() if seen.method == "POST" and seen.path.endswith(plural)])

    def read_logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self._folder.glob("*.log")))


@contextmanager
def run_pair(folder: Path) -> Iterator[Pair]:
    """`first` leads and `second` has a warm cache."""
    with serve_in_a_thread(WatchedApiServer) as server:
        pair = Pair(server, folder)
        try:
            pair.start("first")
            pair.wait_until(lambda: LEASE_PATH in server.objects and server.watches == WATCHES)
            pair.start("second")
            pair.wait_until(lambda: server.watches == 2 * WATCHES)
            pair.apply("before")
            pair.wait_for_job("before")
            assert pair.get_writes("second") == []
            yield pair
        finally:
            for process in pair.processes.values():
                process.kill()
                process.wait()


def test_a_terminated_leader_hands_over_at_once(tmp_path: Path) -> None:
    with run_pair(tmp_path) as pair:
        begin = time.monotonic()
        pair.send("first", signal.SIGTERM)
        pair.apply("after")
        pair.wait_for_job("after")
        assert time.monotonic() - begin < HANDOVER_SECONDS
        assert pair.processes["first"].wait(60) == 0
        pair.send("second", signal.SIGTERM)
        assert pair.processes["second"].wait(60) == 0
        assert pair.server.objects[LEASE_PATH]["spec"]["holderIdentity"] == ""
        assert pair.count_created("/jobs") == 2


def test_a_standby_can_be_terminated(tmp_path: Path) -> None:
    with run_pair(tmp_path) as pair:
        pair.send("second", signal.SIGTERM)
        assert pair.processes["second"].wait(60) == 0
        pair.apply("after")
        pair.wait_for_job("after")


def test_a_standby_finishes_what_a_killed_leader_began(tmp_path: Path) -> None:
    """The leader dies between the status and the Job."""
    with run_pair(tmp_path) as pair:
        pair.server.faults = [Fault(method="POST", path="/jobs", seconds=3600)]
        pair.apply("after")
        pair.wait_until(lambda: not pair.server.faults)
        pair.send("first", signal.SIGKILL)
        pair.wait_for_job("after")
        assert pair.count_created("/jobs") == 3  # one of them was never carried out
        statuses = [seen for seen in pair.get_writes("second") if seen.method == "PUT"]
        of_others = [seen for seen in statuses if "/after/" not in seen.path]
        assert len(of_others) <= 1  # what the Job of `before` adds, which the first held back for a while


@pytest.mark.parametrize("stop", ["stopped", "cut off"])
def test_a_former_leader_ends_without_having_written_anything_more(tmp_path: Path, stop: str) -> None:
    """It is stopped with work in hand: the answer to its status write comes when another leads already."""
    with run_pair(tmp_path) as pair:
        held = Fault(method="PUT", path="/trainingruns", seconds=1)
        pair.server.faults = [held]
        pair.apply("after")
        pair.wait_until(lambda: not pair.server.faults)
        if stop == "stopped":
            pair.send("first", signal.SIGSTOP)
        else:
            pair.server.cut_off = {"first"}
        before = len(pair.get_writes("first"))
        pair.wait_until(lambda: pair.get_writes("second"))
        pair.wait_for_job("after")
        pair.apply("later")
        pair.server.cut_off = set()
        pair.send("first", signal.SIGCONT)
        assert pair.processes["first"].wait(60) == ExitCode.TRY_AGAIN
        pair.wait_for_job("later")
        assert len(pair.get_writes("first")) == before
        assert pair.count_created("/jobs") == 3
        reasons = [seen.body["reason"] for seen in pair.get_writes() if seen.path.endswith("/events")]
        assert len(reasons) <= 3 * len(set(reasons)), reasons
