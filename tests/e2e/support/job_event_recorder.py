"""Records the events of a Job's pods on a real cluster while it takes the steps of a recording.

Each pod obeys a file that this process writes: it ends when the step comes, with the exit code of the step. It ignores
SIGTERM, like a trainer that is saving a checkpoint.
"""

import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from kubernetes import watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from deepsynth_api.labels import OWNER_UID
from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_operator.core.observed import ObservedPod, find_true_condition
from deepsynth_simulator.pod_fields import get_index, is_deleting
from deepsynth_simulator.pod_runner import ContainerExit
from e2e.support.api import Api, Manifest, wait_until
from support.cluster.job_recordings import PodNames, Recording, Step

JOB_TRACKING: Final = "batch.kubernetes.io/job-tracking"
STEP_SECONDS: Final = 90
QUIET_SECONDS: Final = 3


class JobEventRecorder:
    """One Job of one recording, in a namespace whose pods may mount the folder with their orders."""

    def __init__(self, cluster: Cluster, namespace: str, image: str, name: str, wanted: Recording) -> None:
        self._cluster, self._api, self._image, self._name = cluster, Api(cluster.kubeconfig, namespace), image, name
        self._wanted = wanted
        self._orders = cluster.volumes / "orders" / name
        self._events: list[dict[str, Any]] = []
        self._names = PodNames()
        self._pods: dict[str, Manifest] = {}
        self._lost: list[str] = []
        self._stopped = threading.Event()
        self._watcher = watch.Watch()

    def record(self) -> Recording:
        """Record everything from the Job's creation to its end."""
        shutil.rmtree(self._orders, ignore_errors=True)
        self._orders.mkdir(parents=True)
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            for step in self._wanted.steps:
                self._do_step(step)
            end = self._wait_for_end()
            self._wait_for_quiet()
        finally:
            self._stopped.set()
            for node in self._lost:
                self._break().start_node(node)
            for pod in self._pods:
                self._order(pod, ContainerExit(0))  # else they would keep listening after a failed step
            self._api.delete_job(self._name)
            self._watcher.stop()
            thread.join(timeout=10)
        header = {"job": self._wanted.header["job"], "steps": self._order_starts(), "end": end}
        return Recording(header, self._events)

    def _do_step(self, step: Step) -> None:
        """Take all actions of a step before waiting for the effect of any."""
        actions = step if isinstance(step, list) else [step]
        checks = [self._do(*action.split()) for action in actions]
        for action, check in zip(actions, checks, strict=True):
            wait_until(f"{self._name}: {action}", check, STEP_SECONDS, lambda: self._events[-3:])
        self._wait_for_quiet()  # let the Job's controller react before the next step

    def _do(self, verb: str, what: str = "") -> Callable[[], object]:
        """Returns what to wait for."""
        match verb:
            case "create":
                self._api.batch.create_namespaced_job(self._api.namespace, self._build_job())
                return lambda: len(self._pods) == self._wanted.header["job"]["completions"]
            case "start":
                return lambda: self._find(what)["status"]["phase"] == "Running"
            case "evict":
                self._api.evict_pod(self._names.get_newest(int(what)))
                return lambda: is_deleting(self._find(what))
            case "delete":
                self._api.delete_pod(self._names.get_newest(int(what)))
                return lambda: is_deleting(self._find(what))
            case "suspend":
                self._api.batch.patch_namespaced_job(self._name, self._api.namespace, {"spec": {"suspend": True}})
                return lambda: all(is_deleting(pod) for pod in self._pods.values())
            case "exit":
                name = self._names.get_newest(int(what))
                self._order(name, self._wanted.get_exit(self._names.get_key(int(what), name)))
                return lambda: self._pods[name]["status"]["phase"] in {"Failed", "Succeeded"}
            case "lose":
                self._lost = [self._find("0")["spec"]["nodeName"]]
                self._break().stop_node(self._lost[0])
                return lambda: True
            case "taint":
                return lambda: is_deleting(self._find("0"))
            case _:
                raise AssertionError(verb)

    def _order(self, pod: str, end: ContainerExit) -> None:
        text = "eat" if end.reason == "OOMKilled" else f"exit {end.exit_code} {end.message}"
        draft = self._orders / f"{pod}.draft"
        draft.write_text(text, encoding="utf-8")
        draft.rename(self._orders / pod)  # a pod never reads half an order

    def _break(self) -> Any:
        assert self._cluster.faults is not None, "this cluster is not ours to break"
        return self._cluster.faults

    def _find(self, index: str) -> Manifest:
        """The newest pod of the index, as last seen."""
        return self._pods[self._names.get_newest(int(index))]

    def _wait_for_end(self) -> dict[str, Any]:
        """The Job's last condition, with `{i}` for the pods' names. Else the number of terminating pods."""
        wanted = self._wanted.header["end"].get("condition")

        def look() -> dict[str, Any] | None:
            job = self._read_job()
            if wanted is None:
                return {"terminating": job["status"]["terminating"]} if job["status"].get("terminating") else None
            found = find_true_condition(job, wanted)
            return dict(found) if found is not None else None

        found = wait_until(f"{self._name}: {wanted}", look, STEP_SECONDS, lambda: self._read_job()["status"])
        assert found is not None
        if wanted is None:
            return found
        return {"condition": wanted, "reason": found["reason"], "message": self._generalise(found["message"])}

    def _generalise(self, message: str) -> str:
        for name, pod in self._pods.items():
            message = message.replace(name, f"{{{get_index(pod)}}}")
        return message.replace(f"{self._api.namespace}/", "default/")

    def _wait_for_quiet(self) -> None:
        """Wait until no more events come: pods are deleted after their Job has ended."""
        seen = -1
        while seen != len(self._events):
            seen = len(self._events)
            time.sleep(QUIET_SECONDS)

    def _order_starts(self) -> list[Step]:
        """The steps, with the starts of pods in the order in which they were seen."""
        started = {event["pod"]: event["index"] for event in self._events if event["phase"] == "Running"}
        order = [f"start {index}" for index in started.values()]
        return [order.pop(0) if str(step).startswith("start") else step for step in self._wanted.steps]

    def _read_job(self) -> Manifest:
        job = self._api.batch.read_namespaced_job(self._name, self._api.namespace)
        plain: Manifest = self._api.client.sanitize_for_serialization(job)
        return plain

    def _watch(self) -> None:
        try:
            self._take_events()
        except (ApiException, HTTPError, OSError):
            if not self._stopped.is_set():  # else it was cut because the recording has ended
                raise

    def _take_events(self) -> None:
        stream = self._watcher.stream(
            self._api.core.list_namespaced_pod,
            self._api.namespace,
            label_selector=f"{OWNER_UID}={self._name}",
            timeout_seconds=4 * STEP_SECONDS,
            _request_timeout=5 * STEP_SECONDS,
        )
        for event in stream:
            if self._stopped.is_set():
                return
            pod = event["raw_object"]
            self._names.get_key(get_index(pod), pod["metadata"]["name"])
            self._pods[pod["metadata"]["name"]] = pod
            self._events.append(describe_event(event["type"], pod))

    def _build_job(self) -> Any:
        """A Job with the recording's spec, and pods that obey."""
        labels = {OWNER_UID: self._name}
        container = {
            "name": "main",
            "image": self._image,
            "args": ["obey", "/orders/$(POD)"],
            "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "resources": {"limits": {"memory": "64Mi"}},
            "volumeMounts": [{"name": "orders", "mountPath": "/orders", "readOnly": True}],
        }
        spec = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": STEP_SECONDS,
            "containers": [container],
            "volumes": [{"name": "orders", "hostPath": {"path": str(self._orders), "type": "Directory"}}],
        }
        template = {"metadata": {"labels": labels}, "spec": spec}
        metadata = {"name": self._name, "labels": labels}
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}
        return {**job, "spec": {**self._wanted.header["job"], "template": template}}


def describe_event(kind: str, pod: Manifest) -> dict[str, Any]:
    """A line of a recording."""
    seen, statuses = ObservedPod.parse(pod), pod["status"].get("containerStatuses", [])
    ended = statuses[0].get("state", {}).get("terminated") if statuses else None
    return {
        "time": datetime.now(UTC).strftime("%H:%M:%S"),
        "event": kind,
        "pod": pod["metadata"]["name"],
        "index": get_index(pod),
        "phase": pod["status"]["phase"],
        "deleting": is_deleting(pod),
        "disruption": seen.disruption,
        "terminated": {key: ended[key] for key in ("exitCode", "reason", "message") if key in ended} if ended else None,
        "tracked": JOB_TRACKING in pod["metadata"].get("finalizers", ()),
    }
