"""What random lives of both kinds share: a controller that is killed, disturbed, and misled by its cache."""

from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from deepsynth_api.kinds import ResourceKind
from deepsynth_operator.core.errors import Conflict
from integration.control.crashing_cluster import Crash, CrashingCluster
from support.cluster.cluster_faults import LaggingView, find_pods
from support.control.controller import Controller

NODES = ("node-a", "node-b")
RESOURCE = "the kind of the resource itself"
KINDS = (RESOURCE, "Job", "Pod")
LIVES = settings(
    max_examples=50,
    stateful_step_count=40,
    # Shrinking takes minutes; a failing life of forty events is readable as it is.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class ControlMachine(RuleBasedStateMachine):
    """kind, name: of the resource, whose life `live_to_the_end` ends."""

    kind: ResourceKind
    name: str

    def __init__(self) -> None:
        super().__init__()
        self.control = Controller(CrashingCluster, nodes=NODES, view=LaggingView)
        self.cluster: Any = self.control.cluster

    def live_to_the_end(self) -> None:
        """Without faults. The machine of each kind says what its resource must be then."""
        raise NotImplementedError

    def teardown(self) -> None:
        try:
            self.live_to_the_end()
        finally:
            self.control.close()

    @rule(crash=st.one_of(st.none(), st.integers(0, 5)))
    def reconcile(self, crash: int | None) -> None:
        self.cluster.crash_before = crash
        try:
            self.control.reconcile(self.kind, self.name)
        except (Crash, Conflict):
            pass
        finally:
            self.cluster.crash_before = None

    @rule(times=st.integers(1, 4))
    def interfere(self, times: int) -> None:
        self.cluster.interferences = times
        self.reconcile(None)
        self.cluster.interferences = 0

    @rule()
    def lag(self) -> None:
        self.cluster.view.lags = True

    @precondition(lambda self: self.cluster.view.waiting)
    @rule(how=st.sampled_from(["deliver_next", "lose_next", "repeat_next"]), kind=st.sampled_from(KINDS))
    def hear(self, how: str, kind: str) -> None:
        getattr(self.cluster.view, how)(self.kind if kind == RESOURCE else kind)

    @rule()
    def list_again(self) -> None:
        self.cluster.view.catch_up()

    @rule(hidden=st.sampled_from([None, "Job"]))
    def restart(self, hidden: str | None) -> None:
        """Another process, which knows no pod that was deleted before; the last Job may not be in its list yet."""
        self.cluster.view.restart(hidden)

    def find_running(self) -> list[str]:
        """Pods whose containers run on a node that answers."""
        living = set(self.control.runner.get_living())
        ready = {name for name, node in self.cluster.kubelet.nodes.items() if node.ready}
        pods = find_pods(self.cluster)
        names = {str(pod["metadata"]["name"]): pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")}
        return [name for name, node in names.items() if name in living and node in ready]

    def find_disruptable(self) -> list[str]:
        return [
            str(pod["metadata"]["name"])
            for pod in find_pods(self.cluster)
            if pod["status"]["phase"] in {"Pending", "Running"} and "deletionTimestamp" not in pod["metadata"]
        ]
