"""A process that has imported what the steps of a DatasetGeneration need, and forks itself for each of their pods.

    python -P -m deepsynth_local.processes.fork_server FD

A new interpreter would spend half a second of CPU time on the same imports for every pod. FD is a socket to forking.py,
with a JSON object per line:

    {"request": 1, "module": "deepsynth_render", "arguments": [], "environment": {}, "folder": "/...", "log": "/..."}
    {"request": 1, "signal": 15}
                                        {"request": 1, "exit": 0}         as of Popen: negative for a signal

If the system refuses a new process, the log says so, and the answer is exit code 75: another attempt may succeed.
It has one thread, so that forks are safe, and ends when the other end of the socket is closed; pods that run then
keep running, as they do when a command is killed that has started them itself.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from deepsynth_api.exit_codes import ExitCode
from deepsynth_local.processes.leftovers import MAX_POD_MARKER_LENGTH, POD_MARKER

_IMPORTED: Final = (
    "deepsynth_render.plan.step",
    "deepsynth_render.render.step",
    "deepsynth_render.publish.step",
    "deepsynth_render.__main__",
    "pyarrow.parquet",
)
_VALIDATED: Final = (
    ("deepsynth_api.workload", "RenderWorkload"),
    ("deepsynth_api.report", "Report"),
    ("deepsynth_render.documents.render_plan", "RenderPlan"),
)
"""Module and name of the types that several steps read or write. Pydantic builds a validator on its first use."""
_READ_BYTES: Final = 65536

Message = dict[str, Any]


class ForkServer:
    """Forks for the requests on a socket, and reports the exit codes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._unread = b""
        self._pids: dict[int, int] = {}
        self._woken, self._waker = socket.socketpair()

    def serve(self) -> Message | None:
        """In each new process the request that it is for; None in this one, when the other end is closed."""
        self._waker.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector:
            for readable in (self._connection, self._woken):
                selector.register(readable, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._woken in ready:
                    self._woken.recv(_READ_BYTES)
                    self._report_ended()
                if self._connection in ready:
                    received = self._connection.recv(_READ_BYTES)
                    if not received:
                        return None
                    for message in self._split(received):
                        if "signal" in message:
                            self._send_signal(message)
                        elif self._fork(message):
                            return message

    def _split(self, received: bytes) -> Iterator[Message]:
        *lines, self._unread = (self._unread + received).split(b"\n")
        yield from map(json.loads, lines)

    def _fork(self, message: Message) -> bool:
        """Whether this is the new process."""
        try:
            pid = os.fork()
        except OSError as error:  # too many processes, or no memory: the pods that run must not end with this one
            with contextlib.suppress(OSError), Path(message["log"]).open("a", encoding="utf-8") as log:
                print(f"the pod's process could not be started: {error.strerror}", file=log)
            self._answer(message["request"], ExitCode.TRY_AGAIN)
            return False
        if pid:
            self._pids[message["request"]] = pid
            return False
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for inherited in (self._connection, self._woken, self._waker):
            inherited.close()
        return True

    def _send_signal(self, message: Message) -> None:
        """To a process that has not been waited for: until then no other one gets its id."""
        if pid := self._pids.get(message["request"]):
            os.kill(pid, message["signal"])

    def _report_ended(self) -> None:
        for request, pid in [*self._pids.items()]:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._pids[request]
                self._answer(request, os.waitstatus_to_exitcode(status))

    def _answer(self, request: int, code: int) -> None:
        with contextlib.suppress(BrokenPipeError):  # the other end was killed
            self._connection.sendall(json.dumps({"request": request, "exit": int(code)}).encode() + b"\n")


def run_pod(request: Message) -> None:
    """Be what a new interpreter with this command would be, and run its module."""
    _redirect_output(request["log"])  # first: what fails after it is said in the pod's log
    os.setsid()
    os.chdir(request["folder"])
    environment: dict[str, str] = request["environment"]
    _mark(environment[POD_MARKER])
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv[1:] = request["arguments"]
    sys.modules.pop(f"{request['module']}.__main__", None)  # was only imported for what it imports itself
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


def _redirect_output(log: str) -> None:
    for path, flags, targets in (
        (os.devnull, os.O_RDONLY, [0]),
        (log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, [1, 2]),
    ):
        opened = os.open(path, flags)
        for target in targets:
            os.dup2(opened, target)
        os.close(opened)


def _mark(uid: str) -> None:
    """Let /proc/PID/environ show the pod: Linux shows the memory that held the environment when Python was started."""
    library = ctypes.CDLL(None)
    library.getenv.restype = ctypes.c_void_p
    marker: int = library.getenv(POD_MARKER.encode())
    ctypes.memmove(marker, uid.encode().ljust(MAX_POD_MARKER_LENGTH, b"\0"), MAX_POD_MARKER_LENGTH)


class QuickExit:
    """Ends this process after all other handlers of its end, without freeing each object one by one.

    That would take a third of the time of a small step: it copies all that the process shares with the server.
    """

    def __init__(self) -> None:
        self.code: object = None
        atexit.register(self)  # before any other: the first one is the last to be called

    def __call__(self) -> None:
        if isinstance(self.code, int):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.code)


def main() -> None:
    gc.disable()
    quick_exit = QuickExit()
    with contextlib.suppress(ImportError):  # the pod says what is missing
        for module in _IMPORTED:
            importlib.import_module(module)
        for module, model in _VALIDATED:
            getattr(importlib.import_module(module), model).model_rebuild()
    gc.freeze()  # collections in a new process would copy all of it
    request = ForkServer(socket.socket(fileno=int(sys.argv[1]))).serve()
    if request is None:
        quick_exit.code = 0
        return
    gc.enable()
    try:
        run_pod(request)
    except SystemExit as end:
        quick_exit.code = end.code
        raise


if __name__ == "__main__":
    main()
