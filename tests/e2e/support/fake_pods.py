"""Nodes and pods without a kubelet: a test writes into their status what a kubelet would, or a thread does."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from deepsynth_api.labels import MANAGED_BY, OPERATOR_NAME, STEP
from deepsynth_api.report import PlanReport, PublishReport, RenderReport, Report, TrainReport
from deepsynth_api.v1alpha1.dataset_generation_status import PlannedSplit
from deepsynth_api.v1alpha1.training_run_status import ModelOutput
from e2e.support.api import Api, Manifest

SHARDS = 4
INDEX = "batch.kubernetes.io/job-completion-index"


@contextmanager
def play_pods(api: Api, *, on_nodes: bool = False) -> Iterator[None]:
    """Bring every pod of DeepSynth in the namespace to its end, until the block ends.

    on_nodes: only pods that a scheduler has bound to a node.
    """
    stopped = threading.Event()
    thread = threading.Thread(target=_play, args=(api, stopped, on_nodes), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(timeout=10)


def add_node(api: Api, name: str, cpus: int = 1, labels: Mapping[str, str] | None = None) -> None:
    """A node with room for one pod with a GPU, or for pods with as many CPUs. Nothing runs there."""
    room = {"cpu": str(cpus), "memory": "8Gi", "ephemeral-storage": "200Gi", "pods": "9", "nvidia.com/gpu": "1"}
    ready = {"type": "Ready", "status": "True", "reason": "Test"}
    status = {"capacity": room, "allocatable": room, "conditions": [ready]}
    api.core.create_node(client.V1Node(metadata=client.V1ObjectMeta(name=name, labels=dict(labels or {}))))
    api.core.patch_node_status(name, {"status": status})
    api.core.patch_node(name, {"spec": {"taints": None}})  # not-ready, of every new node


def start_pod(api: Api, pod: Manifest) -> None:
    """Its container runs from now on, without a report."""
    _write(api, pod, "Running", {"running": {"startedAt": _now()}})


@contextmanager
def hold_pods(api: Api, reason: str, message: str) -> Iterator[None]:
    """The containers of all pods in the namespace wait, as the kubelet says, until the block ends."""
    stopped = threading.Event()

    def hold() -> None:
        while not stopped.wait(0.3):
            for pod in api.list_managed_pods():
                if "containerStatuses" not in pod["status"]:
                    _write(api, pod, "Pending", {"waiting": {"reason": reason, "message": message}})

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(timeout=10)


def end_pod(api: Api, pod: Manifest, exit_code: int) -> None:
    """Its container ends. With 0, it leaves the final report of its step."""
    index, step = int(pod["metadata"]["annotations"][INDEX]), pod["metadata"]["labels"][STEP]
    message = build_report(step, index).model_dump_json(by_alias=True, exclude_none=True) if exit_code == 0 else ""
    ended = {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed", "message": message}
    times = {"startedAt": _now(), "finishedAt": _now()}
    _write(api, pod, "Failed" if exit_code else "Succeeded", {"terminated": {**ended, **times}})


def build_report(step: str, index: int) -> Report:
    """The report of a pod of this step."""
    now = datetime.now(UTC).replace(microsecond=0)
    match step:
        case "plan":
            splits = [PlannedSplit(name="train", rows=40)]
            return Report(
                step="plan", time=now, plan=PlanReport(revision="r", digest="d", splits=splits, shards=SHARDS)
            )
        case "render":
            return Report(step="render", time=now, render=RenderReport(shard=index, documents=10, pages=20))
        case "publish":
            output = PublishReport(uri="pvc://c/pages", revision="v1", rows=40, pages=80, bytes=9, manifest_sha256="m")
            return Report(step="publish", time=now, publish=output)
    output_model = ModelOutput(uri="pvc://c/model")
    train = TrainReport(attempt=1, phase="done", step=9, total_steps=9, saved_step=9, output=output_model)
    return Report(step="train", time=now, train=train)


def _play(api: Api, stopped: threading.Event, on_nodes: bool) -> None:
    selector = {"label_selector": f"{MANAGED_BY}={OPERATOR_NAME}", "timeout_seconds": 5}
    while not stopped.is_set():
        try:
            for event in watch.Watch().stream(api.core.list_namespaced_pod, api.namespace, **selector):
                pod = api.client.sanitize_for_serialization(event["object"])
                if not on_nodes or "nodeName" in pod["spec"]:
                    _advance(api, pod)
        except (ApiException, HTTPError):
            stopped.wait(0.2)


def _advance(api: Api, pod: Manifest) -> None:
    """Pending, then Running, then Succeeded: each change comes back as an event."""
    phase = pod["status"].get("phase", "Pending")
    if phase == "Pending":
        _write(api, pod, "Running", {"running": {"startedAt": _now()}})
    elif phase == "Running":
        index = int(pod["metadata"]["annotations"][INDEX])
        message = build_report(pod["metadata"]["labels"][STEP], index).model_dump_json(by_alias=True, exclude_none=True)
        times = {"startedAt": _now(), "finishedAt": _now()}
        ended = {"exitCode": 0, "reason": "Completed", "message": message, **times}
        _write(api, pod, "Succeeded", {"terminated": ended})


def _write(api: Api, pod: Manifest, phase: str, state: dict[str, Any]) -> None:
    container = {"name": pod["spec"]["containers"][0]["name"], "image": "none", "imageID": "none", "restartCount": 0}
    statuses = [{**container, "ready": False, "state": state}]
    body = {"status": {"phase": phase, "containerStatuses": statuses}}
    try:
        api.core.patch_namespaced_pod_status(pod["metadata"]["name"], api.namespace, body)
    except client.ApiException as error:
        if error.status != 404:
            raise


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
