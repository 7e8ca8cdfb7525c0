"""How each fault of a plan is done. Each returns what it hit, for the log; "" if there was nothing to hit.

A fault with a duration ends before its function returns, so a plan is one fault after the other.
"""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeVar

from deepsynth_chaos.cluster_api import UNREACHABLE, ClusterApi
from deepsynth_chaos.nodes import NAMES, StandInNodes
from deepsynth_chaos.operators import OperatorProcess, Operators
from deepsynth_chaos.plan import FaultName, PlannedFault
from deepsynth_chaos.work import Process
from deepsynth_cluster.clusters.interface import Faults

NODE_LOST_SECONDS: Final = 50.0
"""Long enough for the control plane to notice: NODE_MONITOR_GRACE_SECONDS and NOT_READY_TOLERATION_SECONDS together."""
TAKEOVER_SECONDS: Final = 40.0
_CLOCK_JUMP: Final = timedelta(days=3)
_OPERATOR_CLOCK_JUMP: Final = timedelta(hours=1)
T = TypeVar("T")


@dataclass
class Scene:
    """takeovers: fault -> seconds until the other replica led."""

    api: ClusterApi
    nodes: StandInNodes
    operators: Operators
    cluster: Faults
    takeovers: dict[str, list[float]] = field(default_factory=dict)


def inject(scene: Scene, planned: PlannedFault) -> str:
    try:
        return _FAULTS[planned.fault](scene, planned)
    except UNREACHABLE as error:
        return f"refused: {str(error)[:80]!r}"


def choose(items: Sequence[T], draw: float) -> T | None:
    return items[int(draw * len(items))] if items else None


def _hit_process(act: Callable[[Scene, Process], None], step: str = "") -> Callable[[Scene, PlannedFault], str]:
    def hit(scene: Scene, planned: PlannedFault) -> str:
        with scene.nodes.lock:
            process = choose(scene.nodes.list_running(step), planned.draw)
            if process is None:
                return ""
            act(scene, process)
        return process.pod

    return hit


def _kill(scene: Scene, process: Process) -> None:
    scene.nodes.work.kill(process)


def _fail(scene: Scene, process: Process) -> None:
    scene.nodes.work.fail(process, "WorkerKilled", 1)


def _delete_pod(scene: Scene, process: Process) -> None:
    scene.api.delete_pod(process.pod, process.uid)


def _evict(scene: Scene, process: Process) -> None:
    scene.api.evict_pod(process.pod)


def _delete_job(scene: Scene, process: Process) -> None:
    scene.api.delete_job(process.job)


def _lose_node(scene: Scene, planned: PlannedFault) -> str:
    node = choose(NAMES, planned.draw) or NAMES[0]
    scene.nodes.lose(node)
    time.sleep(NODE_LOST_SECONDS)
    scene.nodes.bring_back(node)
    return node


def _set_condition(name: str, value: object, undone: object) -> Callable[[Scene, PlannedFault], str]:
    def change(scene: Scene, planned: PlannedFault) -> str:
        with scene.nodes.lock:
            setattr(scene.nodes.work.conditions, name, value)
        time.sleep(planned.seconds / 3)
        with scene.nodes.lock:
            setattr(scene.nodes.work.conditions, name, undone)
        return name

    return change


def _watch_takeover(scene: Scene, planned: PlannedFault, act: Callable[[OperatorProcess], None]) -> str:
    leader = scene.operators.wait_for_leader()
    if leader is None:
        return ""
    act(leader)
    seconds = scene.operators.measure_takeover(leader, time.monotonic(), TAKEOVER_SECONDS)
    if seconds is None:
        return f"{leader.name}; no takeover"
    scene.takeovers.setdefault(planned.fault, []).append(seconds)
    return f"{leader.name}; the other led after {seconds:.1f} s"


def _kill_leader(scene: Scene, planned: PlannedFault) -> str:
    return _watch_takeover(scene, planned, lambda leader: leader.process.kill())


def _terminate_leader(scene: Scene, planned: PlannedFault) -> str:
    return _watch_takeover(scene, planned, lambda leader: leader.process.terminate())


def _stop_leader(scene: Scene, planned: PlannedFault) -> str:
    """SIGSTOP, and SIGCONT as soon as another leads, or after the planned time."""
    leader = scene.operators.wait_for_leader()
    if leader is None:
        return ""
    begin = time.monotonic()
    leader.process.send_signal(signal.SIGSTOP)
    seconds = scene.operators.measure_takeover(leader, begin, planned.seconds)
    leader.process.send_signal(signal.SIGCONT)
    if seconds is not None:
        scene.takeovers.setdefault(planned.fault, []).append(seconds)
    return f"{leader.name} for {time.monotonic() - begin:.1f} s; {'a takeover' if seconds else 'no takeover'}"


def _cut_off_leader(scene: Scene, planned: PlannedFault) -> str:
    leader = scene.operators.wait_for_leader()
    if leader is None:
        return ""
    begin = time.monotonic()
    leader.proxy.cut()
    seconds = scene.operators.measure_takeover(leader, begin, planned.seconds)
    leader.proxy.restore()
    if seconds is not None:
        scene.takeovers.setdefault(planned.fault, []).append(seconds)
    return f"{leader.name} for {time.monotonic() - begin:.1f} s; {'a takeover' if seconds else 'no takeover'}"


def _kill_standby(scene: Scene, _: PlannedFault) -> str:
    standby = scene.operators.find_standby()
    if standby is None:
        return ""
    standby.process.kill()
    return standby.name


def _kill_both(scene: Scene, _: PlannedFault) -> str:
    for one in scene.operators.all:
        one.process.kill()
    return "both"


def _shift_operator_clocks(scene: Scene, planned: PlannedFault) -> str:
    """An hour ahead or back, and right again after a third of the planned time."""
    seconds = _OPERATOR_CLOCK_JUMP.total_seconds() * (1 if planned.draw < 0.5 else -1)
    for one in scene.operators.all:
        one.shift_clock(seconds)
    time.sleep(planned.seconds / 3)
    for one in scene.operators.all:
        one.shift_clock(0)
    return f"both, by {seconds:+.0f} s"


def _restart_api_server(scene: Scene, _: PlannedFault) -> str:
    scene.cluster.restart_api_server()
    return "kube-apiserver"


def _stop_etcd(scene: Scene, planned: PlannedFault) -> str:
    scene.cluster.stop_etcd()
    time.sleep(planned.seconds)
    with suppress(Exception):
        scene.cluster.start_etcd()
    return "etcd"


def _restart_controller_manager(scene: Scene, _: PlannedFault) -> str:
    scene.cluster.restart_controller_manager()
    return "kube-controller-manager"


_FAULTS: Final[Mapping[FaultName, Callable[[Scene, PlannedFault], str]]] = {
    "container-killed": _hit_process(_kill),
    "worker-killed": _hit_process(_fail, "train"),
    "pod-deleted": _hit_process(_delete_pod),
    "pod-evicted": _hit_process(_evict),
    "job-deleted": _hit_process(_delete_job),
    "node-lost": _lose_node,
    "nodes-partitioned": _set_condition("nodes_are_partitioned", value=True, undone=False),
    "leader-killed": _kill_leader,
    "leader-terminated": _terminate_leader,
    "leader-stopped": _stop_leader,
    "leader-cut-off": _cut_off_leader,
    "standby-killed": _kill_standby,
    "both-operators-killed": _kill_both,
    "api-server-restarted": _restart_api_server,
    "etcd-stopped": _stop_etcd,
    "controller-manager-restarted": _restart_controller_manager,
    "hub-down": _set_condition("hub_is_down", value=True, undone=False),
    "disk-full": _set_condition("disk_is_full", value=True, undone=False),
    "clock-jumps": _set_condition("clock_offset", value=_CLOCK_JUMP, undone=timedelta()),
    "operator-clock-jumps": _shift_operator_clocks,
}
