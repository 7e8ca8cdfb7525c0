"""The two places of resources, for tests that run on both: a fake cluster, and a folder whose process is a thread."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

from deepsynth_api.labels import MANAGED_BY, OPERATOR_NAME, OWNER_UID
from deepsynth_local.runs.event_log import write_event
from deepsynth_local.runs.requests import take_requests
from deepsynth_local.runs.resource_store import ResourceStore, get_key
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_operator.core.observed import Manifest
from deepsynth_simulator.memory_cluster import MemoryCluster, RecordedEvent
from deepsynth_simulator.object_store import ObjectKey
from integration.client.fake_cluster import FakeCluster, write_kubeconfig
from integration.kubernetes_client.fake_watches import serve_in_a_thread
from support.clocks.manual_clock import ManualClock
from support.cluster.scripted_runner import ScriptedRunner
from support.resources.builders import UID

_EVENT_TIME: Final = datetime(2026, 1, 2, 3, 10, tzinfo=UTC)


class Place(Protocol):
    """What the operator and the pods do in a place. options: those that choose it on the command line."""

    options: list[str]
    volumes: Path

    def put(self, resource: Manifest) -> None:
        """Store a resource with its status."""
        ...

    def get(self, kind: str, name: str) -> Manifest | None: ...

    def delete(self, kind: str, name: str) -> None: ...

    def write_log(self, job: str, index: int, *lines: str) -> None:
        """Lines of the running pod of a Job."""
        ...

    def finish_pod(self, job: str, index: int) -> None: ...

    def record_event(self, resource: Manifest, reason: str, message: str) -> None: ...


class ClusterPlace:
    options: list[str] = ["--context", "fake"]  # noqa: RUF012

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster, self.volumes = cluster, cluster.volumes

    def put(self, resource: Manifest) -> None:
        self.cluster.put(resource)

    def get(self, kind: str, name: str) -> Manifest | None:
        return self.cluster.get(kind, name)

    def delete(self, kind: str, name: str) -> None:
        self.cluster.delete(kind, name)

    def write_log(self, job: str, index: int, *lines: str) -> None:
        self.cluster.write_log(f"{job}-{index}-x", *lines)
        if self.cluster.get("Pod", f"{job}-{index}-x") is None:
            self.cluster.put(build_pod(job, index))

    def finish_pod(self, job: str, index: int) -> None:
        self.cluster.finish(f"{job}-{index}-x")

    def record_event(self, resource: Manifest, reason: str, message: str) -> None:
        event = {"type": "Normal", "reason": reason, "message": message, "lastTimestamp": "2026-01-02T03:10:00Z"}
        involved = {"kind": resource["kind"], "name": resource["metadata"]["name"], "uid": resource["metadata"]["uid"]}
        metadata = {"name": f"event-{reason.lower()}", "namespace": "default"}
        self.cluster.put({"kind": "Event", "metadata": metadata, "involvedObject": involved, **event})


class FolderPlace:
    """The process in the background is a thread that creates, changes and deletes what it is asked to."""

    def __init__(self, runs: RunsFolder) -> None:
        self.runs, self.store = runs, ResourceStore(runs)
        self.options = ["--runs", str(runs.path)]
        self.volumes = runs.volumes
        self._lock = threading.Lock()

    def put(self, resource: Manifest) -> None:
        with self._lock:
            self.store.save(resource)

    def get(self, kind: str, name: str) -> Manifest | None:
        return self.store.load(kind, "default", name)

    def delete(self, kind: str, name: str) -> None:
        self.store.delete(kind, "default", name)

    def write_log(self, job: str, index: int, *lines: str) -> None:
        self.runs.pod_folder(f"{job}-{index}-x").mkdir(exist_ok=True)
        with self.runs.log_file(f"{job}-{index}-x").open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def finish_pod(self, job: str, index: int) -> None:
        self.runs.pod_folder(f"{job}-{index}-x").rmdir()

    def record_event(self, resource: Manifest, reason: str, message: str) -> None:
        metadata = resource["metadata"]
        key = ObjectKey(resource["kind"], metadata["namespace"], metadata["name"])
        write_event(self.runs, RecordedEvent(_EVENT_TIME, key, "Normal", reason, message))

    @contextmanager
    def run(self) -> Iterator[None]:
        stop = threading.Event()
        locked = threading.Event()
        thread = threading.Thread(target=self._serve, args=(locked, stop))
        thread.start()
        assert locked.wait(600)
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _serve(self, locked: threading.Event, stop: threading.Event) -> None:
        with self.runs.lock():
            locked.set()
            while not stop.wait(0.01):
                for request in take_requests(self.runs):
                    for resource in request.resources:
                        self.put(self._store(resource))
                    for key in request.delete:
                        self.store.delete(*key)

    def _store(self, resource: Manifest) -> Manifest:
        """As the controller's cluster stores it."""
        cluster = MemoryCluster(ScriptedRunner(), ManualClock())
        if (old := self.store.load(*get_key(resource))) is not None:
            cluster.restore_resource(old)
        cluster.apply_resource(resource)
        stored = cluster.store.get(*get_key(resource))
        assert stored is not None
        return stored


@pytest.fixture(params=["cluster", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Each test that uses it runs twice."""
    monkeypatch.chdir(tmp_path)
    if request.param == "folder":
        folder = FolderPlace(RunsFolder.open(tmp_path / "runs"))
        with folder.run():
            yield folder
        return
    with serve_cluster(tmp_path, monkeypatch) as cluster:
        yield ClusterPlace(cluster)


@contextmanager
def serve_cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster that the current context of the kubeconfig names."""
    with serve_in_a_thread(lambda: FakeCluster(folder / "volumes")) as cluster:
        write_kubeconfig(folder / "kubeconfig", cluster.port)
        monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
        yield cluster


def write_files(volumes: Path, files: Mapping[str, str]) -> None:
    """Files of volumes: CLAIM/PATH -> text."""
    for name, text in files.items():
        (volumes / name).parent.mkdir(parents=True, exist_ok=True)
        (volumes / name).write_text(text)


def build_pod(job: str, index: int) -> dict[str, Any]:
    labels = {MANAGED_BY: OPERATOR_NAME, OWNER_UID: UID, "batch.kubernetes.io/job-name": job}
    annotations = {"batch.kubernetes.io/job-completion-index": str(index)}
    metadata = {"name": f"{job}-{index}-x", "namespace": "default", "labels": labels, "annotations": annotations}
    status = {"phase": "Running", "containerStatuses": [{"name": "train", "state": {"running": {}}}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status}
