"""The in-memory Cluster does to Jobs and pods what a real cluster was seen to do.

Between pods the order counts where the recording shows it: events of one second have none. A pod's own states come in
exactly the recorded order, repetitions aside. The finalizer's removal is not compared: its moment is a race.
"""

from contextlib import nullcontext
from itertools import product
from pathlib import Path

import pytest
import yaml

from deepsynth_operator.core.observed import ObservedPod, find_true_condition
from deepsynth_simulator.job_sync import get_index, is_deleting
from deepsynth_simulator.object_store import WatchEvent
from support.cluster_faults import delete_pod, disrupt, lose_node, set_suspended, taint_node
from support.job_recordings import CASES, PodKey, PodNames, Recording, State, Step, drop_repetitions
from support.scripted_runner import ScriptedRunner
from unit.deepsynth_simulator.job_manifests import Fixture, build_job

GOLDEN = Path(__file__).parents[2] / "golden"
RETRY_SECONDS = 60
OTHER_POLICIES = {"evicted_without_policy", "failed_index", "gang", "suspended_without_policy"}


def parse_event(event: WatchEvent, key: PodKey) -> State:
    pod = ObservedPod.parse(event.manifest)
    return State(
        pod=key,
        phase=pod.phase,
        deleting=is_deleting(event.manifest),
        disruption=pod.disruption,
        exit_code=pod.exit_code,
        exit_reason=pod.exit_reason,
        deleted=event.type == "DELETED",
    )


class Replay:
    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.fixture = Fixture(ScriptedRunner(starts=False))
        self.cluster, self.runner = self.fixture.cluster, self.fixture.runner
        self.names = PodNames()
        self.timed: list[tuple[str, State]] = []
        self.cluster.view.subscribe(self.note)

    def note(self, event: WatchEvent) -> None:
        if event.manifest["kind"] == "Pod":
            key = self.names.get_key(get_index(event.manifest), event.manifest["metadata"]["name"])
            self.timed.append(("", parse_event(event, key)))

    def run(self) -> None:
        for step in self.recording.steps:
            self.take(step)

    def take(self, step: Step) -> None:
        with self.cluster.hold() if isinstance(step, list) else nullcontext():
            for action in step if isinstance(step, list) else [step]:
                self.do(*action.split())

    def do(self, verb: str, what: str = "") -> None:
        pod = self.names.get_newest(int(what)) if what.isdigit() else ""
        match verb:
            case "create":
                self.fixture.create(build_job(**self.recording.header["job"]))
            case "start":
                self.start(int(what))
            case "evict":
                disrupt(self.cluster, pod)
            case "delete":
                delete_pod(self.cluster, pod)
            case "suspend":
                set_suspended(self.cluster, "job", True)
            case "exit":
                self.runner.end(pod, self.recording.get_exit(self.names.get_key(int(what), pod)))
            case "lose":
                lose_node(self.cluster, "localhost")
            case "taint":
                taint_node(self.cluster, "localhost")
            case _:
                raise AssertionError(verb)

    def start(self, index: int) -> None:
        """The newest pod, which may come only after the delay that follows a failure."""
        if self.names.get_newest(index) not in self.runner.get_living():
            self.fixture.clock.advance(RETRY_SECONDS)
        self.runner.find(self.names.get_newest(index)).listener.started()

    def get_states(self) -> list[State]:
        return [state for _, state in drop_repetitions(self.timed)]


@pytest.fixture(params=CASES)
def replay(request: pytest.FixtureRequest) -> Replay:
    replay = Replay(Recording.read(request.param))
    replay.run()
    return replay


def test_every_pod_goes_through_the_same_states(replay: Replay) -> None:
    assert replay.names.keys == replay.recording.pods
    for pod in replay.names.keys:
        assert [state for state in replay.get_states() if state.pod == pod] == replay.recording.list_states(pod)


def test_what_was_seen_a_second_earlier_comes_earlier(replay: Replay) -> None:
    states = replay.get_states()
    for (early, first), (late, second) in product(replay.recording.timed, repeat=2):
        if early < late and not is_race(first, second):
            assert states.index(first) < states.index(second)


def is_race(first: State, second: State) -> bool:
    """A kubelet starts a pod while the Job's controller lets another one vanish."""
    vanishes = [state.deleted for state in (first, second)]
    runs = [state.phase == "Running" and not state.deleting for state in (first, second)]
    return first.pod != second.pod and any(vanishes) and any(runs)


def test_the_job_ends_the_same_way(replay: Replay) -> None:
    job, end = replay.fixture.get_job(), replay.recording.header["end"]
    if "condition" not in end:
        assert (job["status"]["terminating"], job["status"].get("conditions", [])) == (end["terminating"], [])
        return
    found = find_true_condition(job, end["condition"])
    assert found is not None
    message = end["message"].format(*(replay.names.get_newest(index) for index in sorted(replay.names.names)))
    assert (found["reason"], found["message"]) == (end["reason"], message)


@pytest.mark.parametrize("case", sorted(set(CASES) - OTHER_POLICIES))
def test_a_recorded_job_had_the_policy_of_our_manifests(case: str) -> None:
    golden = "dataset_generation_render" if case.startswith("shard") else "training_run_full"
    children = yaml.safe_load_all((GOLDEN / f"{golden}.yaml").read_text(encoding="utf-8"))
    built = next(child["spec"] for child in children if child["kind"] == "Job")
    recorded = Recording.read(case).header["job"]
    for field in ("completionMode", "podReplacementPolicy", "podFailurePolicy"):
        assert recorded[field] == built[field]
    assert recorded.get("backoffLimit") == built.get("backoffLimit")


def test_all_recordings_are_replayed() -> None:
    assert len(CASES) == 15
