"""A worker without torch for tests of the launcher: `light_worker.py MODE DOCUMENT RUN_FOLDER RING`.

Its collective runs over Unix sockets. A lost peer raises the same error as with gloo.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from deepsynth_api.errors import DataError
from deepsynth_api.workload import TrainWorkload
from deepsynth_train.coordination.progress import StepReport
from deepsynth_train.coordination.run_folder import RunFolder
from deepsynth_train.worker.heartbeat import Heartbeat
from deepsynth_train.worker.process import run_worker

STEPS = 100_000
"""Minutes of work, so that a run that a test stops does not finish first."""

_COLLECTIVES: dict[str, Any] = {}
"""In a stack, a rank that waits here looks like one that waits in a collective of torch."""
exec(compile("def wait(peer): return peer.recv(1)[0]", "/torch/distributed/ring.py", "exec"), _COLLECTIVES)  # noqa: S102


class Ring:
    """Every rank sends a byte to rank 0, which replies with the largest."""

    def __init__(self, path: Path, rank: int, size: int) -> None:
        self._rank = rank
        self._peers: list[socket.socket] = []
        # A socket's path has at most 107 bytes, and a test's folder may have more.
        folder = f"/proc/self/fd/{os.open(path.parent, os.O_RDONLY)}"
        if rank == 0:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(f"{folder}/{path.name}.new")
                server.listen(size)
                path.with_name(f"{path.name}.new").rename(path)
                self._peers = [server.accept()[0] for _ in range(size - 1)]
        else:
            while not path.exists():
                time.sleep(0.01)
            self._peers = [socket.socket(socket.AF_UNIX)]
            self._peers[0].connect(f"{folder}/{path.name}")

    def largest(self, value: int) -> int:
        if self._rank != 0:
            self._send(self._peers[0], value)
            return self._receive(self._peers[0])
        result = max([value, *(self._receive(peer) for peer in self._peers)])
        for peer in self._peers:
            self._send(peer, result)
        return result

    def _send(self, peer: socket.socket, value: int) -> None:
        try:
            peer.sendall(bytes([value]))
        except OSError as error:
            raise RuntimeError("Connection closed by peer [127.0.0.1]") from error

    def _receive(self, peer: socket.socket) -> int:
        try:
            return int(_COLLECTIVES["wait"](peer))
        except (OSError, IndexError) as error:
            raise RuntimeError("Connection closed by peer [127.0.0.1]") from error


def train(mode: str, meeting: Path) -> Callable[..., Any]:
    def run(_workload: TrainWorkload, heartbeat: Heartbeat, should_stop: Callable[[], bool]) -> Any:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        ring = Ring(meeting, rank, size)
        for step in range(1, STEPS + 1):
            misbehave(mode, rank, step)
            heartbeat.beat()
            if ring.largest(int(should_stop())):
                return SimpleNamespace(saved_step=step - 1, stopped=True, output=None)
            heartbeat.step(StepReport(step, STEPS, 0.0, 1.0, 1.0, 0.1, 1.0, 1.0, 1.0, 0.0, 1, 1.0))
            if step == 2:
                heartbeat.phase("step")  # the limit of a step, which may be short, holds from here on
            ring.largest(0)  # no rank starts a step before all have reported the previous one
            time.sleep(0.005)
            if step == 3 and (mode == "finish" or mode.count("-") == 2):
                break
        return SimpleNamespace(saved_step=STEPS, stopped=False, output=None)

    return run


def misbehave(mode: str, rank: int, step: int) -> None:
    """mode: WHAT-RANK or WHAT-RANK-STARTS, done at step 3; `term` a second later, when the launcher has seen its
    workers start. STARTS: only in the first ones of these pods.
    """
    what, culprit, starts = (*mode.split("-"), "", "")[:3]
    if starts and int(os.environ["DEEPSYNTH_RESTART"]) >= int(starts):
        return
    if step != (200 if what == "term" else 3) or str(rank) != culprit:
        return
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "abort":
        os.abort()
    elif what == "data":
        raise DataError("spec.datasets[0]: is empty")
    elif what == "bug":
        raise ZeroDivisionError("a bug")
    elif what == "speak":
        print("speaks", flush=True)
        print("complains", file=sys.stderr, flush=True)
        os._exit(3)
    elif what == "exit":
        os._exit(3)
    elif what == "hang":
        time.sleep(600)
    elif what == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif what == "lost":
        raise RuntimeError("Connection closed by peer [10.0.0.7]")
    elif what == "bugterm" and os.environ["DEEPSYNTH_RESTART"] == "0":
        raise ZeroDivisionError("a bug")
    elif what in {"term", "bugterm"}:
        os.kill(os.getppid(), signal.SIGTERM)


if __name__ == "__main__":
    run_folder = RunFolder(Path(sys.argv[3]))
    document = TrainWorkload.parse(Path(sys.argv[2]).read_bytes())
    sys.exit(run_worker(run_folder, document, train(sys.argv[1], Path(sys.argv[4]))))
