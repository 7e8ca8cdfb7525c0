"""The simulator does with Jobs and pods what a real cluster was recorded to do (tests/fixtures/job_events).

The states of one pod must come in exactly the recorded order, without repetitions. Between pods the order counts where
the recording shows it: events within one second have no order. When the finalizer is removed is a race, so it is not
compared.
"""

from contextlib import nullcontext
from itertools import product
from pathlib import Path

import pytest
import yaml

from deepsynth_operator.core.observed import ObservedPod, find_true_condition
from deepsynth_simulator.object_store import WatchEvent
from deepsynth_simulator.pod_fields import get_index, is_deleting
from support.cluster.cluster_faults import delete_pod, disrupt, lose_node, set_suspended, taint_node
from support.cluster.job_recordings import CASES, PodKey, PodNames, Recording, State, Step, drop_repetitions
from support.cluster.scripted_runner import ScriptedRunner
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
        """Start the newest pod of an index; after a failure it is only created when the retry delay is over."""
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


def test_every_pod_has_the_recorded_states(replay: Replay) -> None:
    assert replay.names.keys == replay.recording.pods
    for pod in replay.names.keys:
        assert [state for state in replay.get_states() if state.pod == pod] == replay.recording.list_states(pod)


def test_the_order_between_pods_is_the_recorded_one(replay: Replay) -> None:
    states = replay.get_states()
    for (early, first), (late, second) in product(replay.recording.timed, repeat=2):
        if early < late and not is_race(first, second):
            assert states.index(first) < states.index(second)


def is_race(first: State, second: State) -> bool:
    """One pod starts while another one is removed: the kubelet and the Job controller do not wait for each other."""
    removals = [state.deleted for state in (first, second)]
    starts = [state.phase == "Running" and not state.deleting for state in (first, second)]
    return first.pod != second.pod and any(removals) and any(starts)


def test_the_job_ends_as_recorded(replay: Replay) -> None:
    job, end = replay.fixture.get_job(), replay.recording.header["end"]
    if "condition" not in end:
        assert (job["status"]["terminating"], job["status"].get("conditions", [])) == (end["terminating"], [])
        return
    found = find_true_condition(job, end["condition"])
    assert found is not None
    message = end["message"].format(*(replay.names.get_newest(index) for index in sorted(replay.names.names)))
    assert (found["reason"], found["message"]) == (end["reason"], message)


@pytest.mark.parametrize("case", sorted(set(CASES) - OTHER_POLICIES))
def test_recorded_jobs_have_the_policies_of_our_manifests(case: str) -> None:
    golden = "dataset_generation_render" if case.startswith("shard") else "training_run_minimal"
    children = yaml.safe_load_all((GOLDEN / f"{golden}.yaml").read_text(encoding="utf-8"))
    built = next(child["spec"] for child in children if child["kind"] == "Job")
    recorded = Recording.read(case).header["job"]
    for field in ("completionMode", "podReplacementPolicy", "podFailurePolicy"):
        assert recorded[field] == built[field]
    assert recorded.get("backoffLimit") == built.get("backoffLimit")


def test_all_recordings_are_replayed() -> None:
    assert len(CASES) == 15
