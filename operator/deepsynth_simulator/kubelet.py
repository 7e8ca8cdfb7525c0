"""Scheduler and kubelets in one: places pods on nodes, has the PodRunner run them, keeps their status."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from deepsynth_simulator.clock import Clock
from deepsynth_simulator.job_sync import is_deleting
from deepsynth_simulator.object_store import Key, Object, ObjectStore, WatchEvent, format_time, key_of
from deepsynth_simulator.pod_runner import ContainerExit, PodRunner

TERMINATION_MESSAGE_LIMIT: Final = 4096
"""Bytes of a termination message that a kubelet keeps: the last ones."""


@dataclass
class Node:
    """`ready` False: its kubelet is silent. Pods stay as they were last seen, whatever their processes do."""

    name: str
    ready: bool = True
    missed: list[Callable[[], None]] = field(default_factory=list)
    """What its kubelet will tell once it is back."""


class Kubelet:
    """Notes which pods changed; `sync` starts, stops and removes."""

    def __init__(
        self, store: ObjectStore, runner: PodRunner, clock: Clock, wake: Callable[[], None], nodes: list[str]
    ) -> None:
        self._store, self._runner, self._clock, self._wake = store, runner, clock, wake
        self.nodes = {name: Node(name) for name in nodes}
        self.refusal: str | None = None
        """While set, no pod is scheduled; the message of PodScheduled=False."""
        self._changed: dict[Key, None] = {}
        self._running: set[str] = set()
        store.subscribe(self._note)

    def sync(self) -> bool:
        """Look at every pod that changed. Whether there was one."""
        if not self._changed:
            return False
        changed, self._changed = self._changed, {}
        for key in changed:
            pod = self._store.get(*key)
            if pod is not None:
                self._sync(key, pod)
        return True

    def look_again(self) -> None:
        """Note all pods: a node came back, or scheduling is possible again."""
        self._changed.update(dict.fromkeys(map(key_of, self._store.select("Pod"))))

    def _note(self, event: WatchEvent) -> None:
        if event.manifest["kind"] == "Pod":
            self._changed[key_of(event.manifest)] = None
        elif event.manifest["kind"] == "ConfigMap":
            self.look_again()

    def _sync(self, key: Key, pod: Object) -> None:
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

    def _schedule(self, key: Key, pod: Object) -> None:
        if is_deleting(pod):
            self._set_status(key, phase="Failed")
            self._store.remove(key)
            return
        ready = [node.name for node in self.nodes.values() if node.ready]
        refusal = self.refusal or ("" if ready else f"0/{len(self.nodes)} nodes are available")
        if refusal:
            self._set_condition(key, "PodScheduled", "False", "Unschedulable", refusal)
            return
        index = int(pod["metadata"]["labels"].get("batch.kubernetes.io/job-completion-index", "0"))
        self._store.update(key, lambda item: item["spec"].update(nodeName=ready[index % len(ready)]))
        self._set_condition(key, "PodScheduled", "True", "", "")

    def _start(self, key: Key, pod: Object) -> None:
        if is_deleting(pod):
            self._set_status(key, phase="Failed")
            return
        config_maps, missing = self._read_config_maps(pod)
        if missing:
            message = f'configmap "{missing}" not found'
            self._set_container(key, {"waiting": {"reason": "CreateContainerConfigError", "message": message}})
            return
        self._running.add(pod["metadata"]["uid"])
        self._runner.start(resolve_field_references(pod), config_maps, _Listener(self, key, pod))

    def _stop(self, key: Key, pod: Object) -> None:
        self._runner.stop(pod, pod["metadata"]["deletionGracePeriodSeconds"])
        if pod["status"]["phase"] == "Pending":
            # Nothing was started, so nothing will end.
            self._running.discard(pod["metadata"]["uid"])
            self._set_status(key, phase="Failed")

    def _read_config_maps(self, pod: Object) -> tuple[dict[str, Mapping[str, str]], str | None]:
        """Data of the pod's ConfigMaps, and the name of one that does not exist."""
        data: dict[str, Mapping[str, str]] = {}
        for volume in pod["spec"].get("volumes", []):
            name = volume.get("configMap", {}).get("name")
            found = self._store.get("ConfigMap", pod["metadata"]["namespace"], name) if name else None
            if name and found is None:
                return {}, name
            if found is not None:
                data[name] = found.get("data", {})
        return data, None

    def tell(self, key: Key, uid: str, node: Node, report: Callable[[], None]) -> None:
        """Do `report` for the pod with this uid; a silent node's kubelet does it when it is back."""
        if not node.ready:
            node.missed.append(lambda: self.tell(key, uid, node, report))
            return
        pod = self._store.get(*key)
        if pod is not None and pod["metadata"]["uid"] == uid and uid in self._running:
            report()
            self._wake()

    def mark_running(self, key: Key) -> None:
        started = format_time(self._clock.now())
        self._set_container(key, {"running": {"startedAt": started}}, phase="Running", podIP="127.0.0.1")
        self._set_condition(key, "Ready", "True", "", "")

    def mark_waiting(self, key: Key, reason: str, message: str) -> None:
        self._set_container(key, {"waiting": {"reason": reason, "message": message}})

    def mark_ended(self, key: Key, uid: str, ended: ContainerExit) -> None:
        """A container that ends by itself is seen terminated before its pod's phase changes."""
        self._running.discard(uid)
        pod = self._store.get(*key)
        assert pod is not None, "tell() looked"  # noqa: S101 - states an invariant
        state = {"terminated": self._build_terminated(pod, ended)}
        phase = "Succeeded" if ended.exit_code == 0 else "Failed"
        if not is_deleting(pod):
            self._set_container(key, state)
            self._set_condition(key, "Ready", "False", "PodFailed", "")
        self._set_container(key, state, phase=phase)

    def _build_terminated(self, pod: Object, ended: ContainerExit) -> Object:
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

    def _set_container(self, key: Key, state: Object, **status: str) -> None:
        def change(pod: Object) -> None:
            pod["status"].update(status)
            pod["status"]["containerStatuses"] = [{"name": pod["spec"]["containers"][0]["name"], "state": state}]

        self._store.update(key, change)

    def _set_status(self, key: Key, **fields: str) -> None:
        self._store.update(key, lambda pod: pod["status"].update(fields))

    def _set_condition(self, key: Key, kind: str, status: str, reason: str, message: str) -> None:
        condition = {"type": kind, "status": status, "reason": reason, "message": message}
        self._store.update(key, lambda pod: set_pod_condition(pod, condition))


class _Listener:
    """The PodListener of one pod."""

    def __init__(self, kubelet: Kubelet, key: Key, pod: Object) -> None:
        self._kubelet, self._key, self._uid = kubelet, key, pod["metadata"]["uid"]
        self._node = kubelet.nodes[pod["spec"]["nodeName"]]

    def started(self) -> None:
        self._tell(lambda: self._kubelet.mark_running(self._key))

    def waiting(self, reason: str, message: str) -> None:
        self._tell(lambda: self._kubelet.mark_waiting(self._key, reason, message))

    def ended(self, container_exit: ContainerExit) -> None:
        self._tell(lambda: self._kubelet.mark_ended(self._key, self._uid, container_exit))

    def _tell(self, report: Callable[[], None]) -> None:
        self._kubelet.tell(self._key, self._uid, self._node, report)


def set_pod_condition(pod: Object, condition: Mapping[str, Any]) -> None:
    conditions = pod["status"].setdefault("conditions", [])
    conditions[:] = [item for item in conditions if item["type"] != condition["type"]] + [dict(condition)]


def resolve_field_references(pod: Object) -> Object:
    """The pod with the values of the downward API written into its env."""
    resolved = deepcopy(pod)
    for variable in resolved["spec"]["containers"][0].get("env", []):
        path = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        if path:
            variable.pop("valueFrom")
            variable["value"] = _read_field(pod, path)
    return resolved


def _read_field(pod: Object, path: str) -> str:
    """Value of a fieldPath such as spec.nodeName or metadata.annotations['key']."""
    path, _, key = path.partition("['")
    value: Any = pod
    for part in path.split("."):
        value = value.get(part, {})
    return str(value[key.removesuffix("']")] if key else value)
