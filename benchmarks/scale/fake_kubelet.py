"""Nodes and pods without a kubelet: every pod is bound, starts, reports progress over HTTP, and succeeds.

    created ──▶ bound to a node ──start──▶ Running, GET /report answers ──life──▶ Succeeded, with its last report

All pods are on one machine. Each has an address of its own in 127.0.0.0/8, and a server there while it runs.
"""

import asyncio
import contextlib
import ipaddress
import itertools
import os
import resource
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, Final

from benchmarks.scale.api_client import ApiClient, Manifest
from benchmarks.scale.pod_reports import build_final_report, build_live_report

from deepsynth_api.labels import STEP
from deepsynth_api.workload import REPORT_PORT

NODE: Final = "benchmark-node"
FIRST_ADDRESS: Final = ipaddress.IPv4Address(f"127.{1 + os.getpid() % 32}.0.1")
"""Of this process: all pods have the same port, and tests with pods of their own may run at the same time."""
INDEX: Final = "batch.kubernetes.io/job-completion-index"
FOREVER: Final = 10**6
"""Seconds of a pod that starts, or ends, after the benchmark."""


@dataclass(slots=True)
class PodTimes:
    """What happened to a pod, in seconds of time.monotonic()."""

    job: str
    container: str
    step: str
    """Empty for a pod that reports nothing."""
    index: int
    started: float = 0.0
    ended: float = 0.0


@dataclass
class FakeKubelet:
    """start, life: seconds of a pod until it runs, and from then until it succeeds; they count for pods to come."""

    api: ApiClient
    namespace: str
    start: float = 1.0
    life: float = 10.0
    pods: dict[str, PodTimes] = field(default_factory=dict)
    """By uid."""
    polls: int = 0
    _numbers: ClassVar[Iterator[int]] = itertools.count()
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _group: asyncio.TaskGroup = field(init=False)

    def find_starts(self) -> dict[str, float]:
        """When all pods of each Job had started, for those that have."""
        starts: dict[str, list[float]] = {}
        for pod in self.pods.values():
            starts.setdefault(pod.job, []).append(pod.started)
        return {job: max(times) for job, times in starts.items() if all(times)}

    @asynccontextmanager
    async def work(self) -> AsyncIterator[None]:
        """Run the namespace's pods until the block ends. A pod that cannot be run ends the block with its error."""
        await self.api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
        async with asyncio.TaskGroup() as self._group:
            watching = self._group.create_task(self._watch())
            yield
            for task in (watching, *self._tasks.values()):
                task.cancel()

    async def _watch(self) -> None:
        pods = f"/api/v1/namespaces/{self.namespace}/pods"
        async for kind, pod in self.api.watch(pods):
            uid, path = pod["metadata"]["uid"], f"{pods}/{pod['metadata']['name']}"
            if kind == "DELETED" or "deletionTimestamp" in pod["metadata"]:
                if kind != "DELETED" and uid in self.pods:
                    self._do(uid, self._remove(path))
                self.pods.pop(uid, None)
            elif uid not in self.pods and pod["status"].get("phase", "Pending") == "Pending":
                times = self.pods[uid] = _build_times(pod)
                self._do(uid, self._run(path, times))

    def _do(self, uid: str, work: "asyncio._CoroutineLike[None]") -> None:
        """Instead of what is being done with the pod."""
        if uid in self._tasks:
            self._tasks.pop(uid).cancel()
        task = self._tasks[uid] = self._group.create_task(work)
        task.add_done_callback(lambda done: self._tasks.pop(uid) if self._tasks.get(uid) is done else None)

    async def _remove(self, path: str) -> None:
        await self.api.delete(path, {"gracePeriodSeconds": 0})

    async def _run(self, path: str, pod: PodTimes) -> None:
        name = path.rpartition("/")[2]
        target = {"kind": "Node", "name": NODE}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
        life = self.life
        await self.api.create(f"{path}/binding", binding)
        await asyncio.sleep(self.start)
        address, begin = str(FIRST_ADDRESS + next(self._numbers)), _now()
        with contextlib.closing(await asyncio.start_server(partial(self._answer, pod), address, REPORT_PORT)):
            await self._write(path, pod, "Running", {"running": {"startedAt": begin}}, podIP=address)
            pod.started = time.monotonic()
            await asyncio.sleep(life)
        message = build_final_report(pod.step, pod.index, life)
        ended = {"exitCode": 0, "reason": "Completed", "message": message, "startedAt": begin, "finishedAt": _now()}
        pod.ended = time.monotonic()
        await self._write(path, pod, "Succeeded", {"terminated": ended})

    async def _write(self, path: str, pod: PodTimes, phase: str, state: Manifest, **status: str) -> None:
        ready = str(phase == "Running")
        times = {"lastTransitionTime": _now(), "lastProbeTime": None}
        conditions = [{"type": kind, "status": ready, **times} for kind in ("Ready", "ContainersReady")]
        conditions.append({"type": "PodScheduled", "status": "True", **times})
        container = {"name": pod.container, "image": "none", "imageID": "none", "restartCount": 0}
        statuses = [{**container, "ready": phase == "Running", "state": state}]
        body = {"phase": phase, "conditions": conditions, "containerStatuses": statuses, **status}
        await self.api.patch(f"{path}/status", {"status": body})

    async def _answer(self, pod: PodTimes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer GET /report, as often as the connection is used."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while await reader.readuntil(b"\r\n\r\n"):
                body = build_live_report(pod.step, pod.index, time.monotonic() - pod.started).encode()
                status = "200 OK" if body else "404 Not Found"
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
                self.polls += 1


def _build_times(pod: Manifest) -> PodTimes:
    labels, annotations = pod["metadata"]["labels"], pod["metadata"].get("annotations", {})
    container = pod["spec"]["containers"][0]["name"]
    return PodTimes(labels["job-name"], container, labels.get(STEP, ""), int(annotations.get(INDEX, 0)))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
