"""A hostile user fills a namespace, next to the running operator: its memory, statuses, log, and what others wait for.

What is measured does not depend on how busy the machine is: others wait for the operator's own CPU time, because it has
one thread. Seconds on the clock are only printed: `pytest -m slow -s`.
"""

import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import Phase, given, settings

from deepsynth_api.crd.schema import build_schema
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, JOB_NAME_LABEL, Manifest
from deepsynth_operator.decisions.shared.status_budget import MAX_STATUS_BYTES
from integration.kubernetes_client.fake_watches import WatchedApiServer, serve_in_a_thread
from support.free_port import find_free_port
from support.resources.builders import a_training_run
from support.tenants.hostile_pods import ADDRESSES, HostilePods, serve_hostile_pods
from support.tenants.hostile_reports import build_hostile_reports
from support.tenants.largest_values import build_largest

RUNS, RUNS_WITH_PODS, PODS_PER_RUN, FAILING_RUNS = 110, 20, 32, 5
PODS = RUNS_WITH_PODS * PODS_PER_RUN // len(ADDRESSES)
"""With each address."""
VICTIMS: Final = 20
MAX_MEMORY: Final = 512 * 2**20
"""resources.limits.memory of the chart."""
MAX_WAIT: Final = 2.0
"""Seconds of the operator's CPU time for nearly all victims. The slowest may wait twice as long: processors differ."""
TIME: Final = "2026-01-02T03:04:05Z"
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def draw_reports() -> list[str]:
    drawn: list[str] = []

    @settings(max_examples=200, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(build_hostile_reports())
    def draw(text: str) -> None:
        drawn.append(text)

    draw()
    return drawn


@dataclass
class Waits:
    """Of one kind, in seconds of the operator's CPU time, and on the clock."""

    cpu: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        median, clock = statistics.median(self.cpu), statistics.median(self.clock)
        cpu = f"{median:.2f} s of CPU time, at most {max(self.cpu):.2f} s"
        return f"{cpu}; {clock:.1f} s on the clock, at most {max(self.clock):.1f} s"

    @property
    def is_short(self) -> bool:
        return sorted(self.cpu)[-2] < MAX_WAIT and max(self.cpu) < 2 * MAX_WAIT


class Attack:
    """The operator's process, the API server, and the two users."""

    def __init__(self, server: WatchedApiServer, process: subprocess.Popen[bytes], log: Path) -> None:
        self.server, self._process, self._log = server, process, log
        self._numbers = itertools.count()
        spec = build_schema("TrainingRun")["properties"]["spec"]["properties"]
        self._template = build_largest(spec["template"], 1_000_000)

    def wait_until(self, check: Callable[[], object], seconds: float = 900) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            assert self._process.poll() is None, self._log.read_text()[-5000:]
            assert time.monotonic() < deadline, self._log.read_text()[-5000:]
            time.sleep(0.01)

    def create_largest_run(self, number: int) -> None:
        name = f"h{number:03}"
        builder = a_training_run(name).named(name, "hostile", uid=f"uid-{name}").with_spec(template=self._template)
        suspend = number >= RUNS_WITH_PODS + FAILING_RUNS
        manifest = builder.with_spec(suspend=suspend, numNodes=PODS_PER_RUN, backoffLimit=1000).to_manifest()
        assert len(json.dumps(manifest)) > 2**20
        TrainingRun.model_validate(manifest)
        self.server.put(manifest)

    def put_pods(self, job: str, states: list[dict[str, Any]], namespace: str = "hostile") -> None:
        """Pods of a Job that the operator has created, one in each state."""
        template = (self.server.get("Job", job, namespace) or {})["spec"]["template"]
        for index, state in enumerate(states):
            annotations = template["metadata"]["annotations"] | {COMPLETION_INDEX_ANNOTATION: str(index)}
            labels = template["metadata"]["labels"] | {JOB_NAME_LABEL: job}
            name = {"name": f"{job}-{index}-{next(self._numbers)}", "namespace": namespace}
            metadata = {**name, "labels": labels, "annotations": annotations, "creationTimestamp": TIME}
            # Only the first pod of a Job has the whole spec: the API server of this test keeps every version in memory.
            spec = {**(template["spec"] if index == 0 else {}), "nodeName": "node-1"}
            self.server.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": state})

    def measure_cpu(self) -> float:
        """Seconds of CPU time that the operator has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def measure_peak(self) -> int:
        """The most memory that the operator has had, in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024

    def wait_for(self, check: Callable[[], object], waits: Waits) -> None:
        cpu, clock = self.measure_cpu(), time.monotonic()
        self.wait_until(check)
        waits.cpu.append(self.measure_cpu() - cpu)
        waits.clock.append(time.monotonic() - clock)

    def is_complete(self, name: str, namespace: str) -> bool:
        status = (self.server.get("TrainingRun", name, namespace) or {}).get("status", {})
        return bool(status.get("state") == "Complete")


@contextmanager
def operate(tmp_path: Path) -> Iterator[tuple[WatchedApiServer, subprocess.Popen[bytes], Path]]:
    """`python -m deepsynth_operator` as a process, with the settings of the chart but for the interval."""
    log, config = tmp_path / "log", tmp_path / "config"
    with serve_in_a_thread(WatchedApiServer) as server:
        clusters = [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.port}"}}]
        contexts = [{"name": "c", "context": {"cluster": "c", "user": "u"}}]
        document = {"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": contexts}
        config.write_text(
            json.dumps({**document, "clusters": clusters, "users": [{"name": "u", "user": {"token": "t"}}]})
        )
        variables = {
            "KUBECONFIG": str(config),
            "DEEPSYNTH_HTTP_ADDRESS": f"127.0.0.1:{find_free_port()}",
            "DEEPSYNTH_LOG_FORMAT": "json",
            "DEEPSYNTH_POLL_SECONDS": "5",
        }
        with log.open("wb") as errors:
            command = [sys.executable, "-m", "deepsynth_operator"]
            process = subprocess.Popen(command, env={**os.environ, **variables}, stderr=errors)
        try:
            yield server, process, log
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=600) == 0
        finally:
            process.kill()


def build_running(address: str) -> dict[str, Any]:
    conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": TIME}]
    container = {"name": "train", "state": {"running": {"startedAt": TIME}}}
    return {"phase": "Running", "podIP": address, "conditions": conditions, "containerStatuses": [container]}


def build_ended(message: str, exit_code: int) -> dict[str, Any]:
    ended = {"exitCode": exit_code, "message": message[:4096], "startedAt": TIME, "finishedAt": TIME}
    phase = "Succeeded" if exit_code == 0 else "Failed"
    return {"phase": phase, "containerStatuses": [{"name": "train", "state": {"terminated": ended}}]}


def start_attack(attack: Attack, drawn: list[str]) -> None:
    for number in range(RUNS):
        attack.create_largest_run(number)
    addresses, messages = itertools.cycle(ADDRESSES.values()), itertools.cycle(drawn)
    for number in range(RUNS_WITH_PODS + FAILING_RUNS):
        job = f"h{number:03}-train-1"
        attack.wait_until(partial(attack.server.get, "Job", job, "hostile"))
        if number < RUNS_WITH_PODS:
            attack.put_pods(job, [build_running(next(addresses)) for _ in range(PODS_PER_RUN)])
        else:
            attack.put_pods(job, [build_ended(next(messages), 1) for _ in range(PODS_PER_RUN)])
            fail_job(attack.server, job, "hostile", "Failed")


def fail_job(server: WatchedApiServer, job: str, namespace: str, condition: str) -> None:
    conditions = [{"type": condition, "status": "True", "lastTransitionTime": TIME}]
    server.put({**(server.get("Job", job, namespace) or {}), "status": {"startTime": TIME, "conditions": conditions}})


def live_as_victims(attack: Attack) -> tuple[Waits, Waits]:
    """Short runs of another user, one after the other: from creation to the Job, and from its end to what is shown."""
    starts, ends = Waits(), Waits()
    for number in range(VICTIMS):
        name, job = f"v{number}", f"v{number}-train-1"
        attack.server.put(a_training_run(name).named(name, "victim", uid=f"uid-{name}").to_manifest())
        attack.wait_for(partial(attack.server.get, "Job", job, "victim"), starts)
        attack.put_pods(job, [build_ended("", 0)], "victim")
        fail_job(attack.server, job, "victim", "Complete")
        attack.wait_for(partial(attack.is_complete, name, "victim"), ends)
    return starts, ends


def has_answered(pods: HostilePods) -> bool:
    """Whether each kind of pod was asked several times, but for those that are asked ever less often."""
    often = ADDRESSES.keys() - {"silent", "endless"}
    return all(pods.answers[name] > 2 * PODS for name in often) and pods.answers["silent"] > 0


def measure_status(resource: Manifest) -> int:
    text = json.dumps(resource.get("status", {}), ensure_ascii=False, separators=(",", ":"))
    return len(text.encode(errors="surrogatepass")) + 5 * sum(map(text.count, "<>&\u2028\u2029"))


@pytest.mark.slow
def test_a_hostile_user_neither_exhausts_the_operator_nor_delays_others(tmp_path: Path) -> None:
    drawn = draw_reports()
    with operate(tmp_path) as (server, process, log), serve_hostile_pods(drawn) as pods:
        attack = Attack(server, process, log)
        attack.wait_until(lambda: server.watches >= 4)
        base = attack.measure_peak()
        start_attack(attack, drawn)
        attack.wait_until(lambda: pods.answers["largest"] >= PODS)
        starts, ends = live_as_victims(attack)
        attack.wait_until(lambda: has_answered(pods))
        peak, statuses = attack.measure_peak(), [measure_status(run) for run in server.list_kind("TrainingRun")]
        print(
            f"\nmemory: {base / 2**20:.0f} MiB idle, {peak / 2**20:.0f} MiB at most; CPU {attack.measure_cpu():.0f} s"
        )
        print(f"created to Job: {starts}\ndone to shown: {ends}")
        print(f"largest status: {max(statuses)} bytes; answers: {dict(pods.answers)}; log: {log.stat().st_size} bytes")
    assert peak < MAX_MEMORY
    assert max(statuses) <= MAX_STATUS_BYTES
    assert starts.is_short, str(starts)
    assert ends.is_short, str(ends)
    records = log.read_text().splitlines()
    assert all(json.loads(line)["message"] for line in records)
    assert all(line.isprintable() for line in records)
    assert [line[:2000] for line in records if "Traceback" in line] == []
