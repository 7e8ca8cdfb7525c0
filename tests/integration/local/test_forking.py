"""Pods that are forked instead of started with a new interpreter: nobody may notice."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.exit_codes import ExitCode
from deepsynth_local.processes.container import Command
from deepsynth_local.processes.forking import Forks
from deepsynth_local.processes.leftovers import (
    MAX_POD_MARKER_LENGTH,
    POD_MARKER,
    RUNS_MARKER,
    find_processes,
    kill_processes,
)
from deepsynth_local.processes.process_runner import ProcessRunner
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_simulator.pod_runner import ContainerExit
from integration.local.test_process_runner import PATIENCE_SECONDS, Listener, build_pod, wait_for, with_runner

SEEN = """
import gc, json, multiprocessing, os, signal, sys, tempfile, threading
if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=os.getpid)
    process.start()
    process.join()
    variables = {name: value for name, value in os.environ.items() if name != "DEEPSYNTH_REPORT_ADDRESS"}
    print(json.dumps({
        "arguments": sys.argv,
        "name": [__name__, __spec__.name, multiprocessing.current_process().name],
        "folder": os.path.basename(os.getcwd()),
        "variables": {name: value.replace(os.environ["TMPDIR"], "TMPDIR") for name, value in variables.items()},
        "temporary": tempfile.gettempdir() == os.environ["TMPDIR"],
        "session": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()],
        "signals": {n: str(signal.getsignal(n)) for n in signal.valid_signals()},
        "mask": [str(signal.pthread_sigmask(signal.SIG_BLOCK, [])), os.umask(0o22)],
        "files": len(os.listdir("/proc/self/fd")),
        "input": os.readlink("/proc/self/fd/0"),
        "outputs": [os.path.basename(os.readlink(f"/proc/self/fd/{n}")) for n in (1, 2)],
        "threads": threading.active_count(),
        "collector": [gc.isenabled(), gc.get_threshold()],
        "child": process.exitcode,
    }), flush=True)
"""


def build_step(name: str = "pod", *arguments: str, **variables: str) -> dict[str, Any]:
    """A pod that is forked, unless it has variables that an interpreter may read when it starts."""
    env = [{"name": key, "value": value} for key, value in variables.items()]
    pod = build_pod("", name, command=["python", "-m", "deepsynth_render", *arguments], env=env)
    pod["metadata"]["uid"] = f"uid-of-{name}-{os.getpid()}"
    return pod


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the pods run."""
    folder = tmp_path / "modules/deepsynth_render"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(folder.parent), prepend=os.pathsep)
    # Processes that are killed leave no coverage, and starting it opens files.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    return folder / "__main__.py"


def find_servers(runs: Path) -> list[int]:
    """A fork server has the runs folder in its environment, and is no pod."""
    of_no_pod = find_processes(POD_MARKER, " " * MAX_POD_MARKER_LENGTH)
    return [pid for pid in find_processes(RUNS_MARKER, str(runs)) if pid in of_no_pod]


def test_a_forked_pod_sees_what_a_new_interpreter_sees(tmp_path: Path, module: Path) -> None:
    module.write_text(SEEN)
    found = {}

    async def body(runner: ProcessRunner, listener: Listener) -> None:
        for name, variables in {"pod": {}, "new": {"OF_THE_TEMPLATE": "1"}}.items():
            listener = Listener()
            pod = build_step("pod", "plan", "--document", "/etc/document", DEEPSYNTH_LOG_FORMAT="json", **variables)
            runner.start(pod, {}, listener)
            assert await listener.exit == ContainerExit(0)
            log = tmp_path / "logs/pod.log"
            found[name] = json.loads(log.read_text())
            log.unlink()
            assert len(find_servers(tmp_path)) == 1

    with_runner(tmp_path, body)
    assert found["new"]["variables"].pop("OF_THE_TEMPLATE") == "1"
    assert found["pod"] == found["new"]
    assert found["pod"]["arguments"][1:] == ["plan", "--document", "/etc/document"]
    assert found["pod"]["session"] == [True, True]
    assert found["pod"]["child"] == 0
    assert find_processes(RUNS_MARKER, str(tmp_path)) == []


@pytest.mark.parametrize(
    ("code", "exit_code", "output"),
    [
        ("raise SystemExit(64)", 64, ""),
        ("raise ValueError('broken')", 1, "ValueError: broken\n"),
        ("import os; os.kill(os.getpid(), 9)", 137, ""),
        ("import atexit; atexit.register(print, 'bye'); print('x' * 9)", 0, "xxxxxxxxx\nbye\n"),
        (
            "import threading, time; threading.Thread(target=lambda: (time.sleep(0.1), print('end'))).start()",
            0,
            "end\n",
        ),
    ],
)
def test_its_exit_code_and_output_are_those_of_an_interpreter(
    tmp_path: Path, module: Path, code: str, exit_code: int, output: str
) -> None:
    module.write_text(code)

    async def body(runner: ProcessRunner, listener: Listener) -> None:
        runner.start(build_step(), {}, listener)
        assert (await listener.exit).exit_code == exit_code

    with_runner(tmp_path, body)
    assert (tmp_path / "logs/pod.log").read_text().endswith(output)


def test_the_log_of_a_step_begins_with_its_own_words(tmp_path: Path) -> None:
    async def body(runner: ProcessRunner, listener: Listener) -> None:
        runner.start(build_step("pod", "plan", "--document", "/no/document"), {}, listener)
        assert (await listener.exit).exit_code != 0

    with_runner(tmp_path, body)
    log = (tmp_path / "logs/pod.log").read_text()
    assert "/no/document" in log
    assert "RuntimeWarning" not in log


def test_it_is_stopped_and_killed_with_all_its_processes(tmp_path: Path, module: Path) -> None:
    module.write_text(
        "import pathlib, os, signal, subprocess, sys, time; signal.signal(15, lambda *_: print('asked', flush=True));"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True);"
        "pathlib.Path(os.environ['DEEPSYNTH_VOLUMES'], 'ready').touch(); [time.sleep(1) for _ in range(600)]"
    )

    async def body(runner: ProcessRunner, listener: Listener) -> None:
        pod = build_step()
        uid = pod["metadata"]["uid"]
        runner.start(pod, {}, listener)
        await wait_for((tmp_path / "volumes/ready").exists)
        assert len(find_processes(POD_MARKER, uid)) == 2
        runner.stop(pod, 600)
        await wait_for(lambda: (tmp_path / "logs/pod.log").read_text() == "asked\n")
        runner.stop(pod, 0)
        assert (await listener.exit).exit_code == 137
        assert find_processes(POD_MARKER, uid) == []

    with_runner(tmp_path, body)


def test_when_the_server_is_killed_its_pods_are_killed_and_the_next_pod_starts(tmp_path: Path, module: Path) -> None:
    module.write_text(
        "import pathlib, os, sys, time\n"
        "pathlib.Path(os.environ['DEEPSYNTH_VOLUMES'], sys.argv[1]).touch()\n"
        "if sys.argv[1] == 'waits': time.sleep(600)\n"
    )

    async def body(runner: ProcessRunner, listener: Listener) -> None:
        pod = build_step("a", "waits")
        runner.start(pod, {}, listener)
        await wait_for((tmp_path / "volumes/waits").exists)
        [server] = find_servers(tmp_path)
        os.kill(server, signal.SIGKILL)
        assert (await listener.exit).exit_code == 137
        assert find_processes(POD_MARKER, pod["metadata"]["uid"]) == []
        second = Listener()
        runner.start(build_step("b", "ends"), {}, second)
        assert await second.exit == ContainerExit(0)

    with_runner(tmp_path, body)


def break_fork(module: Path, error: str) -> None:
    """Let the second fork of the server raise this."""
    (module.parent.parent / "sitecustomize.py").write_text(
        "import os\n"
        "fork, calls = os.fork, []\n"
        "def fail_at_second():\n"
        "    calls.append(1)\n"
        f"    if len(calls) == 2: raise {error}\n"
        "    return fork()\n"
        "os.fork = fail_at_second\n"
    )


def test_a_process_that_the_system_refuses_fails_its_pod_only(
    tmp_path: Path, module: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    break_fork(module, "BlockingIOError(11, 'Resource temporarily unavailable')")
    module.write_text(
        "import pathlib, os, sys, time\n"
        "folder = pathlib.Path(os.environ['DEEPSYNTH_VOLUMES'])\n"
        "(folder / sys.argv[1]).touch()\n"
        "while not (folder / 'c').exists(): time.sleep(0.01)\n"
    )

    async def body(runner: ProcessRunner, first: Listener) -> None:
        second, third = Listener(), Listener()
        runner.start(build_step("a", "a"), {}, first)
        await wait_for((tmp_path / "volumes/a").exists)
        runner.start(build_step("b", "b"), {}, second)
        refused = await second.exit
        assert refused.exit_code == ExitCode.TRY_AGAIN
        assert refused.message == "the pod's process could not be started: Resource temporarily unavailable\n"
        runner.start(build_step("c", "c"), {}, third)
        assert await third.exit == ContainerExit(0)
        assert await first.exit == ContainerExit(0)

    with_runner(tmp_path, body)
    assert capfd.readouterr().err == ""


def test_the_pods_of_a_server_that_ended_say_why(
    tmp_path: Path, module: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    break_fork(module, "ValueError('broken')")
    module.write_text(
        "import pathlib, os, time; pathlib.Path(os.environ['DEEPSYNTH_VOLUMES'], 'ready').touch()\ntime.sleep(600)"
    )

    async def body(runner: ProcessRunner, listener: Listener) -> None:
        runner.start(build_step("a"), {}, listener)
        await wait_for((tmp_path / "volumes/ready").exists)
        runner.start(build_step("b"), {}, Listener())
        ended = await listener.exit
        assert ended.exit_code == 137
        assert "the process that starts pods has ended" in ended.message
        assert ended.message.endswith("ValueError: broken\n")

    with_runner(tmp_path, body)
    assert capfd.readouterr().err == ""


def test_what_fails_before_a_pod_runs_is_in_its_log(
    tmp_path: Path, module: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log, marked = tmp_path / "pod.log", {POD_MARKER: "uid"}
    arguments = [sys.executable, "-m", "deepsynth_render"]
    command = Command(arguments, marked, folder=tmp_path / "absent", termination_log=tmp_path / "end", log_file=log)

    async def main() -> int:
        forks = Forks(RunsFolder.open(tmp_path))
        code = await (await forks.start(command)).wait()
        await forks.close()
        return code

    assert asyncio.run(main()) == 1
    assert "FileNotFoundError" in log.read_text()
    assert capfd.readouterr().err == ""


def test_pods_of_a_killed_command_run_on_and_are_found(tmp_path: Path, module: Path) -> None:
    module.write_text("import time; time.sleep(600)")
    pod = build_step()
    program = (
        "import asyncio, pathlib\n"
        "from deepsynth_local.processes.process_runner import ProcessRunner\n"
        "from deepsynth_local.runs.runs_folder import RunsFolder\n"
        "class Listener:\n"
        "    def started(self): print('started', flush=True)\n"
        "async def main():\n"
        f"    runner = ProcessRunner(RunsFolder.open(pathlib.Path({str(tmp_path)!r})))\n"
        f"    runner.start({pod!r}, {{}}, Listener())\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )

    async def main() -> None:
        command = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
        assert command.stdout is not None
        await command.stdout.readline()
        await wait_for(lambda: bool(find_processes(POD_MARKER, pod["metadata"]["uid"])))
        command.send_signal(signal.SIGKILL)
        await command.wait()
        await wait_for(lambda: find_servers(tmp_path) == [])

    asyncio.run(asyncio.wait_for(main(), PATIENCE_SECONDS))
    assert len(find_processes(RUNS_MARKER, str(tmp_path))) == 1
    assert kill_processes(RUNS_MARKER, str(tmp_path), PATIENCE_SECONDS) == 1
