import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from deepsynth_local.processes.leftovers import RUNS_MARKER, find_processes, kill_processes
from deepsynth_local.processes.process_runner import ProcessRunner
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_simulator.pod_runner import ContainerExit

PATIENCE_SECONDS = 600
"""Long, because test machines may be slow: nothing here waits for it unless the test fails."""


class Listener:
    """Remembers what a runner reports about one pod."""

    def __init__(self) -> None:
        self.is_started = asyncio.Event()
        self.problem: tuple[str, str] | None = None
        self.exit: asyncio.Future[ContainerExit] = asyncio.get_running_loop().create_future()

    def started(self) -> None:
        self.is_started.set()

    def waiting(self, reason: str, message: str) -> None:
        self.problem = reason, message
        self.is_started.set()

    def ended(self, container_exit: ContainerExit) -> None:
        self.exit.set_result(container_exit)


def build_pod(code: str, name: str = "pod", **extra: Any) -> dict[str, Any]:
    container = {"command": ["python", "-c", code], **extra}
    metadata = {"name": name, "uid": f"{os.getpid()}-{name}", "labels": {"deepsynth.io/step": "render"}}
    return {"metadata": metadata, "spec": {"containers": [container]}}


def with_runner(tmp_path: Path, body: Callable[[ProcessRunner, Listener], Awaitable[None]], cores: int = 2) -> None:
    async def main() -> None:
        runner = ProcessRunner(
            RunsFolder.open(tmp_path), cores, report_timeout=PATIENCE_SECONDS, max_kill_wait=PATIENCE_SECONDS
        )
        try:
            await asyncio.wait_for(body(runner, Listener()), PATIENCE_SECONDS)
        finally:
            await runner.close()

    asyncio.run(main())


SAY_READY = "import pathlib, os; pathlib.Path(os.environ['DEEPSYNTH_VOLUMES'], 'ready').touch();"


async def wait_for(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the condition is a file or another process, which sets no event
        await asyncio.sleep(0.01)


def test_the_exit_code_and_the_termination_message_are_reported(tmp_path: Path) -> None:
    code = "import os, sys; open(os.environ['DEEPSYNTH_TERMINATION_LOG'], 'w').write('bye'); print('log'); sys.exit(64)"

    async def body(runner: ProcessRunner, listener: Listener) -> None:
        runner.start(build_pod(code), {}, listener)
        assert await listener.exit == ContainerExit(64, message="bye")
        assert listener.is_started.is_set()

    with_runner(tmp_path, body)
    assert (tmp_path / "logs/pod.log").read_text() == "log\n"
    assert list((tmp_path / "pods").iterdir()) == []


def test_without_a_termination_message_a_failure_has_the_end_of_its_output(tmp_path: Path) -> None:
    async def body(runner: ProcessRunner, listener: Listener) -> None:
        runner.start(build_pod("print('x' * 9000); raise SystemExit('broken')"), {}, listener)
        ended = await listener.exit
        assert ended.exit_code == 1
        assert len(ended.message) == 2048
        assert ended.message.endswith("broken\n")

    with_runner(tmp_path, body)


def test_a_failure_whose_log_was_deleted_is_reported(tmp_path: Path) -> None:
    code = f"import shutil, sys; shutil.rmtree({str(tmp_path / 'logs')!r}); sys.exit(3)"

    async def body(runner: ProcessRunner, listener: Listener) -> None:
        runner.start(build_pod(code), {}, listener)
        ended = await listener.exit
        assert ended.exit_code == 3
        assert "cannot be read: No such file or directory; was the folder deleted?" in ended.message

    with_runner(tmp_path, body)


def test_a_stopped_pod_gets_the_time_to_save(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time; signal.signal(15, lambda *a: (time.sleep(0.2), print('saved'), sys.exit(143)));"
        + SAY_READY
        + "time.sleep(600)"
    )

    async def body(runner: ProcessRunner, listener: Listener) -> None:
        pod = build_pod(code)
        runner.start(pod, {}, listener)
        await wait_for((tmp_path / "volumes/ready").exists)
        runner.stop(pod, 600)
        assert (await listener.exit).exit_code == 143

    with_runner(tmp_path, body)
    assert (tmp_path / "logs/pod.log").read_text() == "saved\n"


def test_a_pod_that_does_not_stop_is_killed_with_all_its_processes(tmp_path: Path) -> None:
    code = (
        "import subprocess, signal, sys, time; signal.signal(15, signal.SIG_IGN);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True);"
        + SAY_READY
        + "time.sleep(600)"
    )

    async def body(runner: ProcessRunner, listener: Listener) -> None:
        pod = build_pod(code)
        runner.start(pod, {}, listener)
        await wait_for((tmp_path / "volumes/ready").exists)
        await wait_for(lambda: len(find_processes(RUNS_MARKER, str(tmp_path))) == 2)
        runner.stop(pod, 600)
        runner.stop(pod, 0)
        assert (await listener.exit).exit_code == 137

    with_runner(tmp_path, body)
    assert find_processes(RUNS_MARKER, str(tmp_path)) == []


def test_a_pod_that_is_killed_while_it_starts_is_killed_once_it_runs(tmp_path: Path) -> None:
    async def body(runner: ProcessRunner, listener: Listener) -> None:
        pod = build_pod("import time; time.sleep(60)")
        runner.start(pod, {}, listener)
        await asyncio.sleep(0)
        assert not listener.is_started.is_set()
        runner.stop(pod, 0)
        assert (await listener.exit).exit_code == 137

    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the pod inherits it, so SIGTERM never stops it
    try:
        with_runner(tmp_path, body)
    finally:
        signal.signal(signal.SIGTERM, handler)


def test_a_pod_stopped_before_its_turn_never_starts(tmp_path: Path) -> None:
    async def body(runner: ProcessRunner, first: Listener) -> None:
        runner.start(build_pod(SAY_READY + "import time; time.sleep(600)", "a"), {}, first)
        await first.is_started.wait()
        second, waiting = Listener(), build_pod("print(1)", "b")
        runner.start(waiting, {}, second)
        await asyncio.sleep(0.1)
        assert not second.is_started.is_set()
        runner.stop(waiting, 5)
        runner.stop(build_pod("", "a"), 5)
        assert (await first.exit).exit_code == 143
        assert (await second.exit).exit_code == 143
        assert not second.is_started.is_set()

    with_runner(tmp_path, body, cores=1)


def test_the_report_of_a_running_pod_is_read(tmp_path: Path) -> None:
    report = json.dumps({"step": "plan", "time": "2026-01-01T00:00:00Z"})
    code = (
        "import http.server, os\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        f"    def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(b'{report}')\n"
        "host, port = os.environ['DEEPSYNTH_REPORT_ADDRESS'].split(':')\n"
        "server = http.server.HTTPServer((host, int(port)), Handler)\n" + SAY_READY + "server.handle_request()\n"
    )

    async def body(runner: ProcessRunner, listener: Listener) -> None:
        pod = build_pod(code)
        runner.start(pod, {}, listener)
        await wait_for((tmp_path / "volumes/ready").exists)
        answer = await runner.read_report(pod)
        assert answer is not None
        assert answer.step == "plan"
        await listener.exit
        assert await runner.read_report(pod) is None
        assert await runner.read_report(build_pod("", "unknown")) is None

    with_runner(tmp_path, body)


def test_a_container_that_cannot_start_says_why(tmp_path: Path) -> None:
    async def body(runner: ProcessRunner, listener: Listener) -> None:
        runner.start(build_pod("", command=["/no/such/program"]), {}, listener)
        assert await listener.exit == ContainerExit(
            127, "ContainerCannotRun", "/no/such/program: No such file or directory"
        )
        pod = build_pod("", "b")
        pod["spec"]["volumes"] = [{"name": "v", "csi": {}}]
        pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
        second = Listener()
        runner.start(pod, {}, second)
        await second.is_started.wait()
        assert second.problem is not None
        assert second.problem[0] == "CreateContainerConfigError"

    with_runner(tmp_path, body)
    assert list((tmp_path / "pods").iterdir()) == []


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)"])
def test_temporary_files_of_a_pod_are_gone_when_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    code = f"import os, tempfile; print(tempfile.mkdtemp(), flush=True); tempfile.mkstemp(); {end}"

    async def body(runner: ProcessRunner, listener: Listener) -> None:
        runner.start(build_pod(code), {}, listener)
        await listener.exit

    with_runner(tmp_path, body)
    assert Path((tmp_path / "logs/pod.log").read_text()).is_relative_to(temporary)
    assert list(temporary.iterdir()) == []


def test_a_pod_that_names_its_own_folder_for_temporary_files_gets_it(tmp_path: Path) -> None:
    own = [{"name": "TMPDIR", "value": "/data/scratch"}]

    async def body(runner: ProcessRunner, listener: Listener) -> None:
        runner.start(build_pod("import os; print(os.environ['TMPDIR'])", env=own), {}, listener)
        await listener.exit

    with_runner(tmp_path, body)
    assert (tmp_path / "logs/pod.log").read_text() == "/data/scratch\n"


def test_pods_of_a_killed_command_are_found_and_killed(tmp_path: Path) -> None:
    program = (
        "import asyncio, pathlib\n"
        "from deepsynth_local.processes.process_runner import ProcessRunner\n"
        "from deepsynth_local.runs.runs_folder import RunsFolder\n"
        "class Listener:\n"
        "    def started(self): print('started', flush=True)\n"
        "async def main():\n"
        f"    runner = ProcessRunner(RunsFolder.open(pathlib.Path({str(tmp_path)!r})))\n"
        f"    runner.start({build_pod('import time; time.sleep(600)')!r}, {{}}, Listener())\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )

    async def main() -> None:
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, env={**os.environ}
        )
        assert command.stdout is not None
        await command.stdout.readline()
        command.send_signal(signal.SIGKILL)
        await command.wait()

    asyncio.run(main())
    assert len(find_processes(RUNS_MARKER, str(tmp_path))) == 1
    assert kill_processes(RUNS_MARKER, str(tmp_path), PATIENCE_SECONDS) == 1
    assert find_processes(RUNS_MARKER, str(tmp_path)) == []
