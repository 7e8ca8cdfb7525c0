"""Scheduler and kubelets in one: place pods on nodes, run them with the PodRunner, keep their status.

The life of a pod, as a kubelet writes it:

    Pending --PodScheduled=True--> Pending --started--> Running, Ready=True --ended--> Succeeded | Failed
       |                             |
       | no node: PodScheduled=False | waiting: ImagePullBackOff, CreateContainerConfigError, ...

A pod that is deleted gets SIGTERM, then SIGKILL after its grace period, and is removed once it has ended. What happens
on a node that is not ready stays unseen until the node is back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, Manifest
from deepsynth_simulator.clock import Clock
from deepsynth_simulator.object_store import ObjectKey, ObjectStore, WatchEvent, copy_object, format_time, key_of
from deepsynth_simulator.pod_fields import is_deleting, set_pod_condition
from deepsynth_simulator.pod_runner import ContainerExit, PodRunner

TERMINATION_MESSAGE_LIMIT: Final = 4096
"""Bytes of a termination message that a kubelet keeps: the last ones."""


@dataclass
class Node:
    """ready False: its kubelet does not answer, so its pods keep their last status while their processes run on.

    room: how many pods it holds at the same time; None: any number.
    """

    name: str
    ready: bool = True
    room: int | None = None
    unreported: list[Callable[[], None]] = field(default_factory=list)
    """What its kubelet will report once the node is ready again."""


class Kubelet:
    """Notes which pods changed; `sync` starts, stops and removes."""

    def __init__(
        self, store: ObjectStore, runner: PodRunner, clock: Clock, wake: Callable[[], None], nodes: list[str]
    ) -> None:
        self._store, self._runner, self._clock, self._wake = store, runner, clock, wake
        self.nodes = {name: Node(name) for name in nodes}
        self.refusal: str | None = None
        """While set, no pod is scheduled, and PodScheduled=False has this message."""
        self._changed: dict[ObjectKey, None] = {}
        self._running: set[str] = set()
        store.subscribe(self._note)

    def sync(self) -> bool:
        """Sync every pod that changed. Returns whether there was one."""
        if not self._changed:
            return False
        changed, self._changed = self._changed, {}
        for key in changed:
            pod = self._store.get(*key)
            if pod is not None:
                self._sync(key, pod)
        return True

    def look_again(self, namespace: str | None = None) -> None:
        """Sync all pods next time: a node is back, a ConfigMap exists, or scheduling is possible again."""
        self._changed.update(dict.fromkeys(map(key_of, self._store.select("Pod", namespace))))

    def _note(self, event: WatchEvent) -> None:
        if event.manifest["kind"] == "Pod":
            self._changed[key_of(event.manifest)] = None
            if self._makes_room(event):
                self._changed.update(dict.fromkeys(self._list_unscheduled()))
        elif event.manifest["kind"] == "ConfigMap":
            self.look_again(event.manifest["metadata"]["namespace"])

    def _makes_room(self, event: WatchEvent) -> bool:
        """Whether a pod has ended on a node with little room."""
        node = self.nodes.get(event.manifest["spec"].get("nodeName", ""))
        has_ended = event.type == "DELETED" or event.manifest["status"]["phase"] in {"Succeeded", "Failed"}
        return node is not None and node.room is not None and has_ended

    def _list_unscheduled(self) -> list[ObjectKey]:
        return [key_of(pod) for pod in self._store.select("Pod") if "nodeName" not in pod["spec"]]

    def _sync(self, key: ObjectKey, pod: Manifest) -> None:
        node = self.nodes.get(pod["spec"].get("nodeName", ""))
        if node is None:
            self._schedule(key, pod)
        elif not node.ready:
            return
        elif pod["metadata"]["uid"] in self._running:
            if is_deleting(pod):
                self._stop(key, pod)
        elif pod["status"]["phase"] == "Pending":
            self._start(key, pod)
        elif is_deleting(pod):
            self._store.remove(key)

    def _schedule(self, key: ObjectKey, pod: Manifest) -> None:
        if is_deleting(pod):
            self._set_status(key, phase="Failed")
            self._store.remove(key)
            return
        avoided = _find_avoided_nodes(pod)
        ready = [node.name for node in self.nodes.values() if node.name not in avoided and self._has_room(node)]
        refusal = self.refusal or ("" if ready else f"0/{len(self.nodes)} nodes are available")
        if refusal:
            self._set_condition(key, "PodScheduled", "False", "Unschedulable", refusal)
            return
        index = int(pod["metadata"]["labels"].get(COMPLETION_INDEX_ANNOTATION, "0"))
        self._store.update(key, lambda item: item["spec"].update(nodeName=ready[index % len(ready)]))
        self._set_condition(key, "PodScheduled", "True", "", "")

    def _has_room(self, node: Node) -> bool:
        if node.room is None or not node.ready:
            return node.ready
        pods = [pod for pod in self._store.select("Pod") if pod["spec"].get("nodeName") == node.name]
        return sum(pod["status"]["phase"] in {"Pending", "Running"} for pod in pods) < node.room

    def _start(self, key: ObjectKey, pod: Manifest) -> None:
        if is_deleting(pod):
            self._set_status(key, phase="Failed")
            return
        config_maps, missing = self._read_config_maps(pod)
        if missing:
            # A kubelet tries again to mount it, and says why only in Events.
            self._set_container(key, {"waiting": {"reason": "ContainerCreating"}})
            return
        self._running.add(pod["metadata"]["uid"])
        self._runner.start(resolve_field_references(pod), config_maps, _Listener(self, key, pod))

    def _stop(self, key: ObjectKey, pod: Manifest) -> None:
        self._runner.stop(pod, pod["metadata"]["deletionGracePeriodSeconds"])
        if pod["status"]["phase"] == "Pending":
            # No container was started, so `ended` never follows.
            self._running.discard(pod["metadata"]["uid"])
            self._set_status(key, phase="Failed")

    def _read_config_maps(self, pod: Manifest) -> tuple[dict[str, Mapping[str, str]], str | None]:
        """Data of the pod's ConfigMaps by name, and the name of one that does not exist."""
        data: dict[str, Mapping[str, str]] = {}
        for volume in pod["spec"].get("volumes", []):
            name = volume.get("configMap", {}).get("name")
            found = self._store.get("ConfigMap", pod["metadata"]["namespace"], name) if name else None
            if name and found is None:
                return {}, name
            if found is not None:
                data[name] = found.get("data", {})
        return data, None

    def report(self, key: ObjectKey, uid: str, node: Node, update: Callable[[], None]) -> None:
        """Apply `update` to the status of the pod with this uid, now or once its node is ready again."""
        if not node.ready:
            node.unreported.append(lambda: self.report(key, uid, node, update))
            return
        pod = self._store.get(*key)
        if pod is not None and pod["metadata"]["uid"] == uid and uid in self._running:
            update()
            self._wake()

    def mark_running(self, key: ObjectKey) -> None:
        started = format_time(self._clock.now())
        self._set_container(key, {"running": {"startedAt": started}}, phase="Running", podIP="127.0.0.1")
        self._set_condition(key, "Ready", "True", "", "")

    def mark_waiting(self, key: ObjectKey, reason: str, message: str) -> None:
        self._set_container(key, {"waiting": {"reason": reason, "message": message}})

    def mark_ended(self, key: ObjectKey, uid: str, ended: ContainerExit) -> None:
        """The container is seen terminated before the pod's phase changes, unless the pod is being deleted."""
        self._running.discard(uid)
        pod = self._store.get(*key)
        assert pod is not None, "report() checked that it exists"  # noqa: S101 - states an invariant
        state = {"terminated": self._build_terminated(pod, ended)}
        phase = "Succeeded" if ended.exit_code == 0 else "Failed"
        if not is_deleting(pod):
            self._set_container(key, state)
            self._set_condition(key, "Ready", "False", "PodFailed", "")
        self._set_container(key, state, phase=phase)

    def _build_terminated(self, pod: Manifest, ended: ContainerExit) -> Manifest:
        statuses = pod["status"].get("containerStatuses") or [{}]
        now = format_time(self._clock.now())
        kept = ended.message.encode()[-TERMINATION_MESSAGE_LIMIT:].decode(errors="ignore")
        return {
            "exitCode": ended.exit_code,
            "reason": ended.reason or ("Completed" if ended.exit_code == 0 else "Error"),
            "startedAt": statuses[0].get("state", {}).get("running", {}).get("startedAt", now),
            "finishedAt": now,
            **({"message": kept} if kept else {}),
        }

    def _set_container(self, key: ObjectKey, state: Manifest, **status: str) -> None:
        def change(pod: dict[str, Any]) -> None:
            pod["status"].update(status)
            pod["status"]["containerStatuses"] = [{"name": pod["spec"]["containers"][0]["name"], "state": state}]

        self._store.update(key, change)

    def _set_status(self, key: ObjectKey, **fields: str) -> None:
        self._store.update(key, lambda pod: pod["status"].update(fields))

    def _set_condition(self, key: ObjectKey, kind: str, status: str, reason: str, message: str) -> None:
        condition = {"type": kind, "status": status, "reason": reason, "message": message}
        self._store.update(key, lambda pod: set_pod_condition(pod, condition))


class _Listener:
    """The PodListener of one pod."""

    def __init__(self, kubelet: Kubelet, key: ObjectKey, pod: Manifest) -> None:
        self._kubelet, self._key, self._uid = kubelet, key, pod["metadata"]["uid"]
        self._node = kubelet.nodes[pod["spec"]["nodeName"]]

    def started(self) -> None:
        self._report(lambda: self._kubelet.mark_running(self._key))

    def waiting(self, reason: str, message: str) -> None:
        self._report(lambda: self._kubelet.mark_waiting(self._key, reason, message))

    def ended(self, container_exit: ContainerExit) -> None:
        self._report(lambda: self._kubelet.mark_ended(self._key, self._uid, container_exit))

    def _report(self, update: Callable[[], None]) -> None:
        self._kubelet.report(self._key, self._uid, self._node, update)


def _find_avoided_nodes(pod: Manifest) -> set[str]:
    """Names that all terms of the pod's required node affinity exclude."""
    required = (
        pod["spec"]
        .get("affinity", {})
        .get("nodeAffinity", {})
        .get("requiredDuringSchedulingIgnoredDuringExecution", {})
    )
    excluded = [
        {name for rule in term.get("matchFields", []) if rule["operator"] == "NotIn" for name in rule["values"]}
        for term in required.get("nodeSelectorTerms", [])
    ]
    return set.intersection(*excluded) if excluded else set()


def resolve_field_references(pod: Manifest) -> Manifest:
    """The pod with the downward API's values filled in: env with `valueFrom.fieldRef` gets a `value`."""
    resolved = copy_object(pod)
    for variable in resolved["spec"]["containers"][0].get("env", []):
        path = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        if path:
            variable.pop("valueFrom")
            variable["value"] = _read_field(pod, path)
    return resolved


def _read_field(pod: Manifest, path: str) -> str:
    """Value of a fieldPath such as spec.nodeName or metadata.annotations['key']."""
    path, _, key = path.partition("['")
    value: Any = pod
    for part in path.split("."):
        value = value.get(part, {})
    return str(value[key.removesuffix("']")] if key else value)
