"""Two nodes that exist only in the API: their kubelets are this class, their containers are `work.Process`.

Level-based like a kubelet: each round lists the pods and does what is missing. What cannot be written while the API
server is away is written later. Reports are served on addresses of loopback, one for each pod.
"""

import contextlib
import itertools
import os
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from kubernetes.client.exceptions import ApiException

from deepsynth_api.labels import OWNER_UID, STEP
from deepsynth_api.report import Report
from deepsynth_api.report_fit import dump_report, fit_report
from deepsynth_api.workload import REPORT_PORT, RenderWorkload
from deepsynth_chaos.cluster_api import UNREACHABLE, ClusterApi, Manifest
from deepsynth_chaos.work import Process, Work

NAMES: Final = ("node-1", "node-2")
TICK_SECONDS: Final = 0.25
_LEASE_SECONDS: Final = 5.0
_NETWORK: Final = f"127.{64 + os.getpid() % 128}"
"""Addresses of pods, on loopback: other ones for each campaign, because all pods use the same port."""
_INDEX: Final = "batch.kubernetes.io/job-completion-index"
_CAPACITY: Final = {"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": "32", "ephemeral-storage": "1Ti"}


class StandInNodes:
    """Runs in a thread of its own. Faults call the other methods, under `lock`."""

    def __init__(self, api: ClusterApi, work: Work) -> None:
        self._api, self.work = api, work
        self.lock = threading.RLock()
        self.processes: dict[str, Process] = {}
        self.lost: set[str] = set()
        """Nodes that are down."""
        self._places: dict[str, str] = {}
        self._written: set[str] = set()
        self._servers: dict[str, ThreadingHTTPServer] = {}
        self._addresses = itertools.count(1)
        self._renewed = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.errors: list[str] = []

    def __enter__(self) -> Self:
        for name in NAMES:
            self._api.request("POST", "/api/v1/nodes", {"kind": "Node", "metadata": {"name": name}})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=30)
        for server in self._servers.values():
            server.shutdown()

    def list_running(self, step: str = "") -> list[Process]:
        with self.lock:
            found = [process for process in self.processes.values() if process.exit_code is None]
            return sorted((item for item in found if step in {"", item.step}), key=lambda item: item.pod)

    def lose(self, node: str) -> None:
        """Power cut: its containers are gone, and nobody reports it."""
        with self.lock:
            self.lost.add(node)
            for uid, process in self.processes.items():
                if self._places[uid] == node and process.exit_code is None:
                    self.work.kill(process)

    def bring_back(self, node: str) -> None:
        with self.lock:
            self.lost.discard(node)

    def _run(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            with self.lock:
                try:
                    self.work.advance(list(self.processes.values()))
                    self._renew()
                    self._sync()
                except UNREACHABLE:
                    continue
                except Exception as error:  # noqa: BLE001 - shown at the end as a fault of the campaign itself
                    self.errors.append(repr(error))

    def _renew(self) -> None:
        if time.monotonic() - self._renewed < _LEASE_SECONDS:
            return
        now = _now()
        conditions = [
            {"type": "Ready", "status": "True", "reason": "Up", "lastHeartbeatTime": now, "lastTransitionTime": now}
        ]
        for name in NAMES:
            if name not in self.lost:
                status = {"capacity": _CAPACITY, "allocatable": _CAPACITY, "conditions": conditions}
                self._api.request(
                    "PATCH",
                    f"/api/v1/nodes/{name}/status",
                    {"status": status},
                    "application/strategic-merge-patch+json",
                )
        self._renewed = time.monotonic()

    def _sync(self) -> None:
        pods = {pod["metadata"]["uid"]: pod for pod in self._api.list_children("Pod")}
        for uid, pod in pods.items():
            node = pod["spec"].get("nodeName")
            if node is not None and node not in self.lost:
                # One pod that was deleted meanwhile must not keep the others from being seen.
                with contextlib.suppress(ApiException):
                    self._sync_pod(uid, pod, node)
        for uid in self.processes.keys() - pods.keys():
            if self._places[uid] not in self.lost:
                self._forget(uid)

    def _sync_pod(self, uid: str, pod: Manifest, node: str) -> None:
        process, is_deleted = self.processes.get(uid), "deletionTimestamp" in pod["metadata"]
        if process is None and not is_deleted and pod["status"].get("phase", "Pending") == "Pending":
            self._start(uid, pod, node)
        elif process is not None and is_deleted and process.exit_code is None:
            self.work.stop(process)
        if process is not None and process.exit_code is not None and uid not in self._written:
            self._write_end(process, pod)
        if process is None and is_deleted and pod["status"].get("phase", "Pending") in {"Pending", "Running"}:
            # As a kubelet does: the Job controller keeps a pod until it has ended, also one that never started.
            self._api.patch_pod_status(pod["metadata"]["name"], uid, {"phase": "Failed"})
        if is_deleted and (process is None or uid in self._written):
            self._api.delete_pod(pod["metadata"]["name"], uid, grace=0)

    def _start(self, uid: str, pod: Manifest, node: str) -> None:
        metadata = pod["metadata"]
        address = f"{_NETWORK}.{(number := next(self._addresses)) // 250}.{number % 250 + 1}"
        state = {"running": {"startedAt": _now()}}
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": _now()}
        self._api.patch_pod_status(metadata["name"], uid, status | _container(pod, state, ready=True))
        process = Process(
            uid=uid,
            pod=metadata["name"],
            owner=metadata["labels"][OWNER_UID],
            job=metadata["labels"]["batch.kubernetes.io/job-name"],
            step=metadata["labels"][STEP],
            index=int(metadata["annotations"][_INDEX]) + self._find_first_shard(metadata),
        )
        self.processes[uid], self._places[uid] = process, node
        self._servers[uid] = _serve(process, address)

    def _find_first_shard(self, pod: Manifest) -> int:
        """Of a Job that renders the rest of the shards; 0 for all others."""
        if pod["labels"][STEP] != "render":
            return 0
        documents = {item["metadata"]["name"]: item["data"] for item in self._api.list_children("ConfigMap")}
        plan = RenderWorkload.parse(documents[pod["labels"]["batch.kubernetes.io/job-name"]]["workload.json"]).plan
        return (plan.first_shard or 0) if plan is not None else 0

    def _write_end(self, process: Process, pod: Manifest) -> None:
        message = fit_report(process.report) if process.report and process.exit_code != 137 else ""
        reason = "Completed" if process.exit_code == 0 else "Error"
        ended = {"exitCode": process.exit_code, "reason": reason, "message": message, "finishedAt": _now()}
        phase = "Succeeded" if process.exit_code == 0 else "Failed"
        status = {"phase": phase} | _container(pod, {"terminated": ended}, ready=False)
        self._api.patch_pod_status(process.pod, process.uid, status)
        self._written.add(process.uid)
        if (server := self._servers.pop(process.uid, None)) is not None:
            threading.Thread(target=_close, args=(server,), daemon=True).start()

    def _forget(self, uid: str) -> None:
        process = self.processes.pop(uid)
        if process.exit_code is None:
            self.work.stop(process)
        if (server := self._servers.pop(uid, None)) is not None:
            threading.Thread(target=_close, args=(server,), daemon=True).start()


def _container(pod: Manifest, state: dict[str, Any], *, ready: bool) -> Manifest:
    name = pod["spec"]["containers"][0]["name"]
    started = {"image": "none", "imageID": "none", "restartCount": 0, "started": ready}
    return {"containerStatuses": [{"name": name, "ready": ready, "state": state, **started}]}


def _serve(process: Process, address: str) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):  # the operator was killed meanwhile
                self._answer(process.report)

        def _answer(self, report: Report | None) -> None:
            if report is None:
                self.send_error(503)
                return
            text = dump_report(report).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer((address, REPORT_PORT), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _close(server: ThreadingHTTPServer) -> None:
    server.shutdown()
    server.server_close()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
