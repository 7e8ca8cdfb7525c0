"""Start pods by fork, from a process that has imported what they need (see fork_server.py)."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from deepsynth_api.workload import COMPLETION_INDEX_VARIABLE
from deepsynth_local.processes.container import GPUS_VARIABLE, TEMPORARY_VARIABLE, Command
from deepsynth_local.processes.leftovers import MAX_POD_MARKER_LENGTH, POD_MARKER, RUNS_MARKER
from deepsynth_local.runs.runs_folder import RunsFolder

_SERVER: Final = "deepsynth_local.processes.fork_server"
_MODULE: Final = "deepsynth_render"
_READ_LATE: Final = frozenset({COMPLETION_INDEX_VARIABLE, GPUS_VARIABLE, TEMPORARY_VARIABLE})
_LOG_TAIL_BYTES: Final = 1024
_OWN_PREFIX: Final = "DEEPSYNTH_"
_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Else numpy and pyarrow start threads when they are imported, and a fork would copy the locks that those hold."""


class PodProcess(Protocol):
    """What the runner needs of a process; asyncio's is one."""

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int: ...

    def send_signal(self, signal: int, /) -> None: ...


class Forks:
    """The processes that were forked, and the server that forks them: it starts when it is first needed."""

    def __init__(self, runs: RunsFolder) -> None:
        self._runs = runs
        self._environment = {**os.environ}
        self._opening = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._processes: dict[int, _ForkedProcess] = {}
        self._started = 0

    def can_start(self, command: Command) -> bool:
        """Whether the process would be the same as that of a new interpreter.

        Variables that Python or a library reads when it starts, such as PYTHONPATH, must be the server's own.
        """
        if command.arguments[:3] != [sys.executable, "-m", _MODULE]:
            return False
        if len(command.environment[POD_MARKER]) > MAX_POD_MARKER_LENGTH:
            return False
        return all(map(_is_read_late, _find_changed(self._environment, command.environment)))

    async def start(self, command: Command) -> PodProcess:
        """Raises OSError when the server cannot be started."""
        async with self._opening:
            if self._writer is None:
                self._writer = await self._open()
        self._started += 1
        process = self._processes[self._started] = _ForkedProcess(self._started, self._writer, command.log_file)
        process.send(
            module=_MODULE,
            arguments=command.arguments[3:],
            environment=command.environment,
            folder=str(command.folder),
            log=str(command.log_file),
        )
        return process

    async def close(self) -> None:
        """End the server. No process that it has started may run any more."""
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            await self._reading
        if self._server is not None:
            await self._server.wait()

    async def _open(self) -> asyncio.StreamWriter:
        ours, theirs = socket.socketpair()
        marked = {RUNS_MARKER: str(self._runs.path), POD_MARKER: " " * MAX_POD_MARKER_LENGTH}
        with theirs, self._runs.fork_server_log.open("wb") as log:
            self._server = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", _SERVER, str(theirs.fileno())),
                env={**self._environment, **marked, **_ONE_THREAD},
                cwd=self._runs.path,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        self._reading = asyncio.create_task(self._read(reader, writer))
        return writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on exit codes. If the server ended, nothing is known of its processes: they count as killed.

        Their logs get the end of its log, so that the user sees why.
        """
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                answer = json.loads(line)
                self._processes.pop(answer["request"]).end(answer["exit"])
        self._writer = None
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        with contextlib.suppress(OSError):
            said = self._runs.fork_server_log.read_bytes()[-_LOG_TAIL_BYTES:]
            for process in self._processes.values():
                process.log(b"the process that starts pods has ended\n" + said)
        while self._processes:
            self._processes.popitem()[1].end(-signal.SIGKILL)


class _ForkedProcess:
    def __init__(self, request: int, writer: asyncio.StreamWriter, log_file: Path) -> None:
        self._request, self._writer, self._log_file = request, writer, log_file
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def returncode(self) -> int | None:
        return self._exit.result() if self._exit.done() else None

    async def wait(self) -> int:
        return await self._exit

    def send_signal(self, signal: int, /) -> None:
        self.send(signal=int(signal))

    def send(self, **fields: Any) -> None:
        self._writer.write(json.dumps({"request": self._request, **fields}).encode() + b"\n")

    def log(self, text: bytes) -> None:
        with self._log_file.open("ab") as log:
            log.write(text)

    def end(self, code: int) -> None:
        self._exit.set_result(code)


def _find_changed(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _is_read_late(variable: str) -> bool:
    return variable in _READ_LATE or variable.startswith(_OWN_PREFIX)
