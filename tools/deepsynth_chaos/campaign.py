"""One campaign: resources that live, faults from a plan, the invariants after each fault, and the ends at the end."""

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deepsynth_api.kinds import API_VERSION, KINDS
from deepsynth_chaos.cluster_api import UNREACHABLE, ClusterApi, Manifest, persist
from deepsynth_chaos.faults import Scene, inject
from deepsynth_chaos.invariants import (
    FINAL_STATES,
    Record,
    check_events,
    check_failures,
    check_jobs,
    check_lives,
    check_rows,
    check_status,
    find_orphans,
)
from deepsynth_chaos.nodes import StandInNodes
from deepsynth_chaos.operators import Operators
from deepsynth_chaos.plan import PlannedFault
from deepsynth_chaos.recorder import Recorder
from deepsynth_chaos.work import INTERVAL, NODES, ROWS, Work, train_undisturbed
from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_demo.chart import CLAIM, apply_all, prepare_users

NAMESPACE: Final = "chaos"
RUNS: Final = 3
GENERATIONS: Final = 2
END_SECONDS: Final = 900.0
_PATIENCE: Final = 0.5


@dataclass
class Result:
    """violations: what was wrong, each once. A campaign is good if there are none."""

    faults: int = 0
    missed: int = 0
    """Faults that found nothing to hit."""
    finished: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    takeovers: dict[str, list[float]] = field(default_factory=dict)
    exit_codes: list[int] = field(default_factory=list)
    seconds: float = 0.0


class Campaign:
    """say: called with each line of the log."""

    def __init__(self, cluster: BareCluster, folder: Path, say: Any = print) -> None:
        self._cluster, self._folder, self._say = cluster, folder, say
        self._work = Work()
        self._result = Result()
        self._numbers = itertools.count(1)
        self._seen: set[str] = set()

    def run(self, plan: Sequence[PlannedFault], crds: Path) -> Result:
        begin = time.monotonic()
        prepare_users(self._cluster, NAMESPACE)
        apply_all(
            self._cluster, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "deepsynth-system"}}
        )
        self._cluster.kubectl("apply", "--server-side", "-f", str(crds))
        self._cluster.kubectl("wait", "--for=condition=Established", "--timeout=120s", "-f", str(crds))
        api = ClusterApi(self._cluster.kubeconfig, NAMESPACE)
        with ExitStack() as stack:
            recorder = stack.enter_context(Recorder(str(self._cluster.kubeconfig), NAMESPACE))
            nodes = stack.enter_context(StandInNodes(ClusterApi(self._cluster.kubeconfig, NAMESPACE), self._work))
            operators = stack.enter_context(Operators(self._cluster.kubeconfig, self._folder))
            scene = Scene(api, nodes, operators, self._cluster.faults, self._result.takeovers)
            self._disturb(scene, plan, recorder)
            self._wait_for_ends(api)
            time.sleep(3)  # for the last events of the watches
            self._check(api, recorder, at_end=True)
            self._check_clean_up(api)
            self._result.exit_codes = [code for one in operators.all for code in one.exit_codes]
            self._result.violations += [f"the campaign itself: {error}" for error in nodes.errors[:3]]
        self._result.seconds = time.monotonic() - begin
        return self._result

    def _disturb(self, scene: Scene, plan: Sequence[PlannedFault], recorder: Recorder) -> None:
        for planned in plan:
            self._refill(scene.api)
            time.sleep(planned.after)
            hit = inject(scene, planned)
            self._result.faults += 1
            self._result.missed += not hit
            self._say(f"{planned.number}/{len(plan)} {planned.fault}: {hit or 'nothing to hit'}")
            self._check(scene.api, recorder, at_end=False)

    def _refill(self, api: ClusterApi) -> None:
        """Keep resources alive, so that each fault has something to hit."""
        for kind, count in (("TrainingRun", RUNS), ("DatasetGeneration", GENERATIONS)):
            try:
                live = [item for item in api.list_resources(kind) if _get_state(item) not in FINAL_STATES]
                for _ in range(count - len(live)):
                    api.create(build_resource(kind, f"{kind.lower()[:3]}-{next(self._numbers)}"))
            except UNREACHABLE:
                continue

    def _wait_for_ends(self, api: ClusterApi) -> None:
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline:
            states = [_get_state(item) for kind in KINDS for item in _list(api, kind)]
            if set(states) <= FINAL_STATES:
                return
            time.sleep(1)

    def _check(self, api: ClusterApi, recorder: Recorder, *, at_end: bool) -> None:
        for uid, record in list(recorder.records.items()):
            if not record.versions:
                continue
            name = record.versions[-1]["metadata"]["name"]
            for problem in self._find_problems(uid, record, at_end=at_end):
                self._note(f"{name}: {problem}")
        if at_end:
            for problem in check_events(persist(api.list_events, pause=_pause)):
                self._note(problem)

    def _find_problems(self, uid: str, record: Record, *, at_end: bool) -> Iterator[str]:
        """What a resource's history violates; at the end also its state and its result."""
        volume, last = self._work.get_volume(uid), record.versions[-1]
        yield from check_status(record)
        yield from check_jobs(record)
        if last["kind"] == "TrainingRun":
            yield from check_lives(volume.lives, INTERVAL)
            yield from (f"attempt {attempt} worked next to a newer one" for attempt in sorted(volume.late))
        if not at_end:
            return
        state = _get_state(last)
        self._result.finished[f"{last['kind']} {state}"] = self._result.finished.get(f"{last['kind']} {state}", 0) + 1
        if state != "Complete":
            conditions = (last.get("status") or {}).get("conditions") or []
            messages = [
                f"{item['type']}={item['status']} {item.get('reason')}: {item.get('message')}" for item in conditions
            ]
            yield f"is {state or 'new'}: {messages}"
        elif last["kind"] == "TrainingRun" and volume.model != train_undisturbed():
            yield "its weights differ from those of an undisturbed run"
        elif last["kind"] == "DatasetGeneration":
            yield from check_rows(volume.shards, volume.published, ROWS)
        if last["kind"] == "TrainingRun":
            yield from check_failures(record, volume.lives)

    def _check_clean_up(self, api: ClusterApi) -> None:
        """Nothing is left without an owner; and when the resources are deleted, nothing is left."""
        resources = [item for kind in KINDS for item in _list(api, kind)]
        children = _list_children(api)
        for problem in find_orphans([*resources, *children], children):
            self._note(problem)
        for kind in KINDS:
            for item in _list(api, kind):
                name = item["metadata"]["name"]
                persist(lambda kind=kind, name=name: api.delete_resource(kind, name), pause=_pause)  # type: ignore[misc]
        deadline = time.monotonic() + 60
        while (left := _list_children(api)) and time.monotonic() < deadline:
            time.sleep(1)
        for item in left:
            self._note(f"{item['kind']} {item['metadata']['name']} is left after its resource was deleted")

    def _note(self, problem: str) -> None:
        if problem not in self._seen:
            self._seen.add(problem)
            self._result.violations.append(problem)
            self._say(f"VIOLATION {problem}")


def build_resource(kind: str, name: str) -> Manifest:
    spec: Manifest
    if kind == "TrainingRun":
        spec = {
            "model": {"uri": "config://vit-gpt2-tiny"},
            "datasets": [{"name": "pages", "uri": f"pvc://{CLAIM}/pages"}],
            "task": "ocr",
            "numNodes": NODES,
            "resourcesPerNode": {"limits": {"nvidia.com/gpu": 1}},
            "precision": "fp32",
            "maxSteps": 80,
            "checkpoint": {"uri": f"pvc://{CLAIM}/{name}", "everySteps": INTERVAL},
            "backoffLimit": 1000,
            "template": {"terminationGracePeriodSeconds": 5},
        }
    else:
        spec = {
            "source": {"uri": "docstrings://"},
            "output": {"uri": f"pvc://{CLAIM}/{name}"},
            "rowsPerShard": 10,
            "backoffLimitPerIndex": 100,
            "template": {"terminationGracePeriodSeconds": 5},
        }
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _get_state(item: Manifest) -> str:
    return str((item.get("status") or {}).get("state") or "")


def _list(api: ClusterApi, kind: str) -> list[Manifest]:
    return persist(lambda: api.list_resources(kind), pause=_pause)


def _list_children(api: ClusterApi) -> list[Manifest]:
    kinds = ("Job", "Pod", "Service", "ConfigMap")
    return [item for kind in kinds for item in persist(lambda kind=kind: api.list_children(kind), pause=_pause)]  # type: ignore[misc]


def _pause() -> None:
    time.sleep(_PATIENCE)
