"""The in-memory Cluster does to Jobs and pods what a real cluster was seen to do.

Between pods the order counts where the recording shows it: events of one second have none. A pod's own states come in
exactly the recorded order, repetitions aside. The finalizer's removal is not compared: its moment is a race.
"""

from contextlib import nullcontext
from itertools import product

import pytest

from cluster_faults import delete_pod, disrupt, lose_node, set_suspended, taint_node
from deepsynth_local.job_sync import get_index, is_deleting
from deepsynth_local.object_store import WatchEvent
from deepsynth_operator.observed import ObservedPod, find_true_condition
from job_manifests import Fixture, build_job
from job_recordings import CASES, Recording, State, drop_repetitions
from scripted_runner import ScriptedRunner


def parse_event(event: WatchEvent) -> State:
    pod = ObservedPod.parse(event.manifest)
    return State(
        index=get_index(event.manifest),
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
        self.names: dict[int, str] = {}
        self.states: list[State] = []
        self.cluster.view.subscribe(self.note)

    def note(self, event: WatchEvent) -> None:
        if event.manifest["kind"] == "Pod":
            self.names.setdefault(get_index(event.manifest), event.manifest["metadata"]["name"])
            self.states.append(parse_event(event))

    def run(self, steps: list[str | list[str]]) -> None:
        for step in steps:
            with self.cluster.hold() if isinstance(step, list) else nullcontext():
                for action in step if isinstance(step, list) else [step]:
                    self.do(*action.split())

    def do(self, verb: str, what: str = "") -> None:
        match verb:
            case "create":
                self.fixture.create(build_job(**self.recording.header["job"]))
            case "start":
                self.runner.find(self.names[int(what)]).listener.started()
            case "evict":
                disrupt(self.cluster, self.names[int(what)])
            case "delete":
                delete_pod(self.cluster, self.names[int(what)])
            case "suspend":
                set_suspended(self.cluster, "job", True)
            case "exit":
                self.runner.end(self.names[int(what)], self.recording.get_exit(int(what)))
            case "lose":
                lose_node(self.cluster, "localhost")
            case "taint":
                taint_node(self.cluster, "localhost")
            case _:
                raise AssertionError(verb)

    def get_states(self) -> list[State]:
        known = [("", state) for state in self.recording.snapshot]
        return [state for _, state in drop_repetitions(known + [("", state) for state in self.states])][len(known) :]


@pytest.fixture(params=CASES)
def replay(request: pytest.FixtureRequest) -> Replay:
    replay = Replay(Recording.read(request.param))
    replay.run(replay.recording.header["given"])
    return replay


def test_the_recording_begins_with_the_same_pods(replay: Replay) -> None:
    pods = [parse_event(WatchEvent("ADDED", pod)) for pod in replay.cluster.store.select("Pod")]
    assert set(pods) == replay.recording.snapshot


def test_every_pod_goes_through_the_same_states(replay: Replay) -> None:
    replay.states.clear()
    replay.run(replay.recording.header["steps"])
    for index in replay.names:
        recorded = [state for _, state in replay.recording.timed if state.index == index]
        assert [state for state in replay.get_states() if state.index == index] == recorded


def test_what_was_seen_a_second_earlier_comes_earlier(replay: Replay) -> None:
    replay.states.clear()
    replay.run(replay.recording.header["steps"])
    states = replay.get_states()
    for (early, first), (late, second) in product(replay.recording.timed, repeat=2):
        if early < late:
            assert states.index(first) < states.index(second)


def test_the_job_ends_the_same_way(replay: Replay) -> None:
    replay.run(replay.recording.header["steps"])
    job, end = replay.fixture.get_job(), replay.recording.header["end"]
    if "condition" not in end:
        assert (job["status"]["terminating"], job["status"].get("conditions", [])) == (end["terminating"], [])
        return
    found = find_true_condition(job, end["condition"])
    assert found is not None
    message = end["message"].format(*(replay.names[index] for index in sorted(replay.names)))
    assert (found["reason"], found["message"]) == (end["reason"], message)


def test_all_recordings_are_replayed() -> None:
    assert len(CASES) == 11
