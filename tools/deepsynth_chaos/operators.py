"""Two operator processes with a Lease, each behind a proxy of its own that can be cut, and restarted when they end."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, Final, Self

import yaml

LEASE: Final = "deepsynth-system/deepsynth"
READY_SECONDS: Final = 120.0
LEADER_SECONDS: Final = 40.0
"""How long a fault of the leader waits until there is one."""
_RESTART_SECONDS: Final = 1.0
_TOOLS: Final = Path(__file__).parents[1]


class Proxy:
    """Forwards TCP connections to the API server, until it is cut: then it breaks them and takes no others."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.is_cut = False
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self.is_cut = True
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def restore(self) -> None:
        self.is_cut = False

    def _accept(self) -> None:
        while True:
            inner, _ = self._listener.accept()
            if self.is_cut:
                inner.close()
                continue
            try:
                outer = socket.create_connection(self._target, timeout=5)
            except OSError:
                inner.close()
                continue
            outer.settimeout(None)
            self._open |= {inner, outer}
            for source, sink in ((inner, outer), (outer, inner)):
                threading.Thread(target=self._pour, args=(source, sink), daemon=True).start()

    def _pour(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for one in (source, sink):
            self._open.discard(one)
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class OperatorProcess:
    """One replica. It is started again whenever it ends, as a kubelet does."""

    def __init__(self, name: str, kubeconfig: Path, folder: Path) -> None:
        self.name, self._folder = name, folder
        document: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
        server = document["clusters"][0]["cluster"]["server"]
        host, _, port = server.removeprefix("https://").partition(":")
        self.proxy = Proxy((host, int(port)))
        document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.proxy.port}"
        self._kubeconfig = folder / f"{name}.kubeconfig"
        self._kubeconfig.write_text(yaml.safe_dump(document))
        self._clock = folder / f"{name}.clock"
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
        self.process = self._start()
        self.exit_codes: list[int] = []

    def read(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=2) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            return ""

    @property
    def leads(self) -> bool:
        return "\ndeepsynth_leader 1.0" in self.read("/metrics")

    def shift_clock(self, seconds: float) -> None:
        """From now on its clock is ahead by `seconds`, also after a restart."""
        self._clock.write_text(str(seconds))

    def restart_if_ended(self) -> None:
        code = self.process.poll()
        if code is not None:
            self.exit_codes.append(code)
            self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        variables = {
            "KUBECONFIG": str(self._kubeconfig),
            "DEEPSYNTH_HTTP_ADDRESS": f"127.0.0.1:{self._port}",
            "DEEPSYNTH_LEASE": LEASE,
            "DEEPSYNTH_POLL_SECONDS": "1",
            "DEEPSYNTH_SHUTDOWN_SECONDS": "5",
            "PYTHONPATH": os.pathsep.join([str(_TOOLS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        }
        with (self._folder / f"{self.name}.log").open("ab") as log:
            command = [sys.executable, "-m", "deepsynth_chaos.shifted_operator", str(self._clock)]
            return subprocess.Popen(command, env={**os.environ, **variables}, stdout=log, stderr=log)


class Operators:
    """Both replicas, and how long it took until one led again after each fault."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.all = [OperatorProcess(name, kubeconfig, folder) for name in ("operator-a", "operator-b")]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._supervise, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + READY_SECONDS
        while not all(one.read("/readyz") == "ok" for one in self.all) or self.find_leader() is None:
            if time.monotonic() > deadline:
                raise TimeoutError("the operators are not ready")
            time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=30)
        for one in self.all:
            one.process.send_signal(signal.SIGCONT)
            one.process.kill()
            one.process.wait()

    def find_leader(self) -> OperatorProcess | None:
        return next((one for one in self.all if one.leads), None)

    def wait_for_leader(self) -> OperatorProcess | None:
        """The leader, once there is one whose standby is ready, so that a takeover can be measured; else any."""
        deadline = time.monotonic() + LEADER_SECONDS
        while True:
            leader, standby = self.find_leader(), self.find_standby()
            if leader is not None and standby is not None and standby.read("/readyz") == "ok":
                return leader
            if time.monotonic() > deadline:
                return leader
            time.sleep(0.5)

    def find_standby(self) -> OperatorProcess | None:
        return next((one for one in self.all if not one.leads), None)

    def measure_takeover(self, former: OperatorProcess, since: float, seconds: float) -> float | None:
        """Seconds from `since` until the other one leads; None if it does not within `seconds`."""
        other = next(one for one in self.all if one is not former)
        while time.monotonic() < since + seconds:
            if other.leads:
                return time.monotonic() - since
            time.sleep(0.1)
        return None

    def _supervise(self) -> None:
        while not self._stopped.wait(_RESTART_SECONDS):
            for one in self.all:
                one.restart_if_ended()
