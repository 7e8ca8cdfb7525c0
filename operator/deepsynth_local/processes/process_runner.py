"""Run pods as local processes: the PodRunner of `deepsynth local`, in place of a container runtime."""

import asyncio
import contextlib
import http.client
import os
import signal
import socket
from collections.abc import Mapping
from typing import Any, Final

from deepsynth_api.labels import STEP
from deepsynth_api.report import REPORT_BYTES, Report, parse_report
from deepsynth_local.processes.container import Command, UnsupportedVolumeError, build_command
from deepsynth_local.processes.forking import Forks, PodProcess
from deepsynth_local.processes.leftovers import MAX_WAIT_SECONDS, POD_MARKER, kill_processes
from deepsynth_local.processes.temporary import remove_pod
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_operator.core.observed import JOB_NAME_LABEL, Manifest
from deepsynth_simulator.pod_runner import ContainerExit, PodListener

REPORT_TIMEOUT_SECONDS: Final = 2.0
LOG_TAIL_BYTES: Final = 2048
_LOOPBACK: Final = "127.0.0.1"


class ProcessRunner:
    """Implements PodRunner. At most `cores` render pods run at the same time; other pods start at once."""

    def __init__(
        self,
        runs: RunsFolder,
        cores: int | None = None,
        *,
        report_timeout: float = REPORT_TIMEOUT_SECONDS,
        max_kill_wait: float = MAX_WAIT_SECONDS,
    ) -> None:
        """cores: all of this machine by default. max_kill_wait: how long to wait for processes after SIGKILL."""
        self._runs = runs
        self._report_timeout, self._max_kill_wait = report_timeout, max_kill_wait
        self._containers: dict[str, _Container] = {}
        self._render_slots = asyncio.Semaphore(cores or os.cpu_count() or 1)
        self._rendezvous: dict[str, str] = {}
        self._forks = Forks(runs)

    def start(self, pod: Manifest, config_maps: Mapping[str, Mapping[str, str]], listener: PodListener) -> None:
        metadata = pod["metadata"]
        report = f"{_LOOPBACK}:{find_free_port()}"
        try:
            command = build_command(pod, config_maps, self._runs, report=report, master=self._rendezvous_of(pod))
        except (UnsupportedVolumeError, OSError) as error:
            remove_pod(self._runs.pod_folder(metadata["name"]))
            reason, message = "CreateContainerConfigError", str(error)
            asyncio.get_running_loop().call_soon(listener.waiting, reason, message)
            return
        slots = self._render_slots if metadata.get("labels", {}).get(STEP) == "render" else None
        self._containers[metadata["uid"]] = _Container(
            metadata["uid"], command, report, listener, self._forks, slots=slots, max_kill_wait=self._max_kill_wait
        )

    def stop(self, pod: Manifest, grace_seconds: int) -> None:
        container = self._containers.get(pod["metadata"]["uid"])
        if container is not None:
            container.stop(grace_seconds)

    async def read_report(self, pod: Manifest) -> Report | None:
        container = self._containers.get(pod["metadata"]["uid"])
        if container is None or not container.is_running:
            return None
        return await asyncio.to_thread(fetch_report, container.report_address, self._report_timeout)

    async def close(self) -> None:
        for container in self._containers.values():
            container.stop(0)
        await asyncio.gather(*(container.task for container in self._containers.values()))
        await self._forks.close()

    def _rendezvous_of(self, pod: Manifest) -> str:
        """The address at which the pods of one Job meet."""
        job = pod["metadata"].get("labels", {}).get(JOB_NAME_LABEL, pod["metadata"]["uid"])
        return self._rendezvous.setdefault(job, f"{_LOOPBACK}:{find_free_port()}")


class _Container:
    """One process, from its turn to start until its end is reported."""

    def __init__(
        self,
        uid: str,
        command: Command,
        report_address: str,
        listener: PodListener,
        forks: Forks,
        *,
        slots: asyncio.Semaphore | None,
        max_kill_wait: float,
    ) -> None:
        self.report_address = report_address
        self._uid = uid
        self._max_kill_wait = max_kill_wait
        self._command = command
        self._listener = listener
        self._forks = forks
        self._slots = slots
        self._process: PodProcess | None = None
        self._stopping = asyncio.Event()
        self._kill_timer: asyncio.TimerHandle | None = None
        self.task = asyncio.create_task(self._run())

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM now, SIGKILL after the grace period. A shorter grace period replaces a longer one."""
        loop = asyncio.get_running_loop()
        at = loop.time() + grace_seconds
        if not self._stopping.is_set():
            self._stopping.set()
            self._signal(signal.SIGTERM)
        if self._kill_timer is None or at < self._kill_timer.when():
            if self._kill_timer is not None:
                self._kill_timer.cancel()
            self._kill_timer = loop.call_at(at, self._kill)

    async def _run(self) -> None:
        async with self._slots or contextlib.nullcontext():
            container_exit = await self._run_process()
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        await asyncio.to_thread(remove_pod, self._command.folder)
        self._listener.ended(container_exit)

    async def _run_process(self) -> ContainerExit:
        if self._stopping.is_set():
            return ContainerExit(128 + signal.SIGTERM)
        try:
            self._process = await self._spawn()
        except OSError as error:
            return ContainerExit(127, "ContainerCannotRun", f"{self._command.arguments[0]}: {error.strerror}")
        self._listener.started()
        if self._stopping.is_set():
            self._signal(signal.SIGTERM)
        if self._kill_timer is not None and self._kill_timer.when() <= asyncio.get_running_loop().time():
            self._kill()  # it was due before the process existed
        code = await self._process.wait()
        await asyncio.to_thread(kill_processes, POD_MARKER, self._uid, self._max_kill_wait)
        return ContainerExit(128 - code if code < 0 else code, message=self._read_message(code))

    async def _spawn(self) -> PodProcess:
        command = self._command
        command.log_file.parent.mkdir(parents=True, exist_ok=True)
        with command.log_file.open("ab") as log:
            if self._forks.can_start(command):
                return await self._forks.start(command)
            return await asyncio.create_subprocess_exec(
                *command.arguments,
                env=command.environment,
                cwd=command.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C must only reach the command, which stops pods itself
            )

    def _read_message(self, code: int) -> str:
        """The termination log; if the container failed without writing one, the end of its output."""
        with contextlib.suppress(FileNotFoundError):
            return self._command.termination_log.read_text(encoding="utf-8", errors="replace")
        if code == 0:
            return ""
        try:
            return self._command.log_file.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        except OSError as error:
            return f"its log {self._command.log_file} cannot be read: {error.strerror}; was the folder deleted?"

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _kill(self) -> None:
        if self.is_running:
            kill_processes(POD_MARKER, self._uid, self._max_kill_wait)
            self._signal(signal.SIGKILL)


def find_free_port() -> int:
    """A port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def fetch_report(address: str, timeout: float) -> Report | None:
    """The answer to GET /report at host:port; None without a valid answer in time."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request("GET", "/report")
        response = connection.getresponse()
        body: Any = response.read(REPORT_BYTES + 1)
        return parse_report(body) if response.status == http.client.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
