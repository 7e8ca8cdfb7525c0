"""Random lives of a TrainingRun: what must hold no matter what happens and what the controller misses."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from deepsynth_api.kinds import ResourceKind
from deepsynth_api.labels import QUEUE_NAME
from deepsynth_api.report import Failure, Report, Restart, TrainReport
from deepsynth_api.v1alpha1 import Attempt, TrainingRun, TrainingRunStatus
from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, Manifest
from deepsynth_operator.decisions.shared.conditions import is_finished
from deepsynth_operator.decisions.training_run.next_attempt.changes import get_first_attempt, wants_more
from deepsynth_operator.manifests.train_job import MAX_RESTARTS_IN_PLACE
from deepsynth_simulator.object_store import ObjectKey, WatchEvent
from deepsynth_simulator.pod_runner import ContainerExit
from integration.control.machines.control_machine import LIVES, NODES, ControlMachine
from integration.control.machines.drawn_lives import check_is_drawn
from support.cluster.cluster_faults import (
    EVICTED,
    disrupt,
    lose_node,
    restore_node,
    set_suspended,
    taint_node,
)
from support.control.checkpoint_folder import ModelledFolder
from support.resources.builders import a_training_run

NAME = "read-xsum"
NUM_NODES = 2
FAILURES = (1, 75, 79, 137)
MAX_STOP = timedelta(seconds=330)
SECONDS = (1, 5, 15, 60, 400, 700)


class Watcher:
    """Sees every status that is written and every Job that is made, in their true order, and objects."""

    def __init__(self, machine: "RunMachine") -> None:
        self.machine = machine
        self.status = TrainingRunStatus()
        self.attempts: dict[int, Attempt] = {}
        self.jobs: dict[str, str] = {}
        """Names of all Jobs there ever were, with the uid of the newest of each name."""

    def receive(self, event: WatchEvent) -> None:
        kind = event.manifest["kind"]
        if kind == "TrainingRun":
            self._check_status(TrainingRun.model_validate(event.manifest).status)
        elif kind == "Job" and event.type == "ADDED":
            self._check_new_job(event.manifest)
        elif kind == "Job" and event.type == "DELETED" and not self.machine.user_deletes:
            ended = [attempt for attempt in self.status.attempts if attempt.job == event.manifest["metadata"]["name"]]
            assert all(attempt.end_time for attempt in ended), "an outcome is written before its Job is deleted"

    def _check_status(self, new: TrainingRunStatus) -> None:
        old = self.status
        check_is_drawn("TrainingRun", old, new)
        continued = new.continued_time != old.continued_time
        if continued:
            assert is_finished(old.conditions), "only a finished run continues"
            assert not is_finished(new.conditions)
        elif is_finished(old.conditions):
            assert (new.state, new.completion_time, new.attempts) == (old.state, old.completion_time, old.attempts)
        if old.start_time is not None:
            assert (new.start_time, new.datasets) == (old.start_time, old.datasets)
        for field in ("saved_step", "restarts"):
            assert getattr(new, field) >= getattr(old, field), field
        assert new.failures >= old.failures or continued
        assert new.usage.gpu_seconds >= old.usage.gpu_seconds
        assert new.attempts_without_progress <= 10
        for attempt in new.attempts:
            self._check_attempt(attempt, new)
        self._check_usage(new)
        assert sum(attempt.end_time is None for attempt in self.attempts.values()) <= 1
        first = get_first_attempt(new)
        counted = [attempt for attempt in self.attempts.values() if attempt.end_time and attempt.number >= first]
        assert new.failures == sum(attempt.outcome in {"Failed", "Hung"} for attempt in counted)
        self.status = new

    def _check_attempt(self, attempt: Attempt, status: TrainingRunStatus) -> None:
        old = self.attempts.get(attempt.number)
        if old is None:
            assert attempt.number == max(self.attempts, default=0) + 1, "numbers follow each other"
            assert all(other.end_time for other in self.attempts.values()), "one attempt at a time"
            self._check_size(attempt)
        else:
            assert (attempt.job, attempt.start_time) == (old.job, old.start_time)
            assert (attempt.last_step or 0) >= (old.last_step or 0)
            if old.end_time is not None:
                same = (attempt.end_time, attempt.outcome, attempt.reason) == (old.end_time, old.outcome, old.reason)
                assert same, "an outcome is final"
        if attempt.reason == "JobDeleted" and (old is None or old.end_time is None):
            assert attempt.job not in self.machine.control.list_jobs(), "a stale cache is no proof"
        if attempt.end_time is not None and attempt.outcome in {"Failed", "Hung"}:
            assert attempt.job in self.machine.failed_jobs, f"{attempt.job} was disrupted, not failed"
        self.attempts[attempt.number] = attempt

    def _check_size(self, attempt: Attempt) -> None:
        """Each attempt tries spec.numNodes, except after one that found fewer."""
        before = self.attempts.get(attempt.number - 1)
        if attempt.nodes != NUM_NODES and not self.machine._is_queued():
            assert before is not None
            assert (before.reason, before.scheduled_nodes) == ("FewerNodes", attempt.nodes)

    def _check_usage(self, status: TrainingRunStatus) -> None:
        """GPU-seconds of the run are those of its attempts; lost ones are a part, known when an attempt has ended."""
        attempts = self.attempts.values()
        for attempt in attempts:
            assert 0 <= attempt.lost_gpu_seconds <= attempt.gpu_seconds
            assert attempt.end_time or attempt.lost_gpu_seconds == 0
        assert status.usage.gpu_seconds == sum(attempt.gpu_seconds for attempt in attempts)
        assert status.usage.lost_gpu_seconds == sum(attempt.lost_gpu_seconds for attempt in attempts)

    def _check_new_job(self, job: Manifest) -> None:
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        last = self.status.attempts[-1]
        assert (last.job, last.end_time) == (name, None), "the status names an attempt before its Job exists"
        assert name not in self.jobs or not last.job_uid, "a Job's name is used once"
        self.jobs[name] = uid
        assert job["spec"]["completions"] == job["spec"]["parallelism"] == last.nodes
        self._check_old_pods(name)

    def _check_old_pods(self, job: str) -> None:
        """Pods of earlier attempts have stopped, had all the time they may take, or are out of reach."""
        machine, ended = self.machine, [attempt.end_time for attempt in self.status.attempts if attempt.end_time]
        if machine.cluster.view.lags or not ended or machine.control.clock.now() >= ended[-1] + MAX_STOP:
            return
        assert all(pod.startswith(f"{job}-") for pod in machine.find_running()), "earlier pods are still at work"


class RunMachine(ControlMachine):
    """Two nodes, two pods, at most two failures; with or without a queue, with or without spec.elastic."""

    kind: ResourceKind = "TrainingRun"
    name = NAME

    def __init__(self) -> None:
        super().__init__()
        self.failed_jobs: set[str] = set()
        self.watcher = Watcher(self)
        self.cluster.store.subscribe(self.watcher.receive)
        self.user_deletes = False
        self.step = 0
        self.folder = ModelledFolder()
        self.restarts: dict[str, list[Restart]] = {}
        """What the launcher of each pod reports, by the pod's name."""
        self.ending, self.extends = "succeed", False

    @initialize(
        queued=st.booleans(),
        keeps=st.booleans(),
        ending=st.sampled_from(["succeed", "evict", "fail"]),
        extends=st.booleans(),
        elastic=st.booleans(),
    )
    def apply(self, queued: bool, keeps: bool, ending: str, extends: bool, elastic: bool) -> None:
        """keeps: whether the cache takes the controller's own writes before their events."""
        self.cluster.view.keeps_writes = keeps
        run = a_training_run(NAME).with_spec(
            numNodes=NUM_NODES, backoffLimit=2, resourcesPerNode={"limits": {"nvidia.com/gpu": 1}}
        )
        if elastic:
            run = run.with_spec(elastic={"minNodes": 1, "scaleUpAfterSeconds": 600})
        self.cluster.apply_resource((run.labelled({QUEUE_NAME: "team"}) if queued else run).to_manifest())
        self.ending, self.extends = ending, extends

    @rule(seconds=st.sampled_from(SECONDS), watches=st.booleans())
    def wait(self, seconds: int, watches: bool) -> None:
        """Time passes, with the controller at work or not."""
        self.control.clock.advance(seconds)
        if watches:
            self.control.settle()

    @rule(seconds=st.sampled_from(SECONDS))
    def watch(self, seconds: int) -> None:
        self.wait(seconds, watches=True)

    # The pods.

    @precondition(lambda self: self.find_running())
    @rule(data=st.data(), code=st.sampled_from([0, 0, 1, 69, 75, 79, 137, 143]))
    def end_pod(self, data: st.DataObject, code: int) -> None:
        pod = data.draw(st.sampled_from(self.find_running()))
        self._end(pod, code)

    @precondition(lambda self: self.find_running())
    @rule(gain=st.integers(0, 5), saves=st.booleans())
    def report(self, gain: int, saves: bool) -> None:
        self.step += gain
        for pod in self.find_running():
            may_save = saves and self.folder.save(self.control.runner.find(pod))
            self.control.report(pod, self._build_report(self.step, self.step if may_save else None, pod))

    @rule()
    def save(self) -> None:
        """Every container that still runs, wherever it is, tries to save: nobody can stop those of a lost node."""
        for pod in self.control.runner.started:
            if not pod.has_ended:
                self.folder.save(pod)

    @precondition(lambda self: self._find_team())
    @rule(saves=st.booleans(), is_seen=st.booleans())
    def restart_in_place(self, saves: bool, is_seen: bool) -> None:
        """A process fails, and the launchers start all of them again. is_seen: it is reported at once."""
        pods = self._find_team()
        failure = Failure(reason="TemporaryFailure", message="rank 1 has failed", exit_code=75, rank=1)
        may_save = saves and all(self.folder.save(self.control.runner.find(pod)) for pod in pods)
        saved = self.step if may_save else None
        restart = Restart(failure=failure, time=self.control.clock.now(), step=self.step, saved_step=saved)
        for pod in pods:
            self.restarts.setdefault(pod, []).append(restart)
            self.failed_jobs.add(self._get_job(pod))
            if is_seen:
                self.control.report(pod, self._build_report(0, None, pod))

    @rule(code=st.sampled_from([143, 143, 75, 137, None]))
    def obey(self, code: int | None) -> None:
        """What pods do when they have to stop: end with this code at once, or save for a while (None)."""
        self.control.runner.obeys = None if code is None else ContainerExit(code)

    # The world.

    @precondition(lambda self: self.find_disruptable())
    @rule(data=st.data())
    def evict(self, data: st.DataObject) -> None:
        disrupt(self.cluster, data.draw(st.sampled_from(self.find_disruptable())), EVICTED)

    @precondition(lambda self: self.find_disruptable())
    @rule(data=st.data())
    def delete_pod(self, data: st.DataObject) -> None:
        self.cluster.delete_object("Pod", "default", data.draw(st.sampled_from(self.find_disruptable())))

    @precondition(lambda self: self.control.list_jobs())
    @rule(data=st.data())
    def delete_job(self, data: st.DataObject) -> None:
        self.user_deletes = True
        self.cluster.delete_object("Job", "default", data.draw(st.sampled_from(self.control.list_jobs())))
        self.user_deletes = False

    @rule(node=st.sampled_from(NODES), notices=st.booleans())
    def lose_node(self, node: str, notices: bool) -> None:
        lose_node(self.cluster, node)
        if notices:
            taint_node(self.cluster, node)

    @rule(node=st.sampled_from(NODES), room=st.sampled_from([0, 1, None]))
    def fill_node(self, node: str, room: int | None) -> None:
        """Other pods take the room of a node, or leave it."""
        self.cluster.kubelet.nodes[node].room = room
        self.cluster.kubelet.look_again()
        self.cluster.settle()

    @rule(node=st.sampled_from(NODES))
    def restore_node(self, node: str) -> None:
        restore_node(self.cluster, node)

    @rule(suspend=st.booleans())
    def suspend(self, suspend: bool) -> None:
        key = ObjectKey("TrainingRun", "default", NAME)
        self.cluster.store.update(key, lambda item: item["spec"].update(suspend=suspend))

    @rule(more=st.integers(1, 50))
    def extend(self, more: int) -> None:
        """More steps, at any time: admission allows it only at rest, but what it allowed may be seen late."""

        def change(item: Any) -> None:
            item["spec"]["maxSteps"] = item["spec"].get("maxSteps", 100) + more

        self.cluster.store.update(ObjectKey("TrainingRun", "default", NAME), change)

    @precondition(lambda self: self._is_queued() and self.control.list_living_jobs())
    @rule(suspended=st.booleans(), pods=st.integers(1, NUM_NODES))
    def queue(self, suspended: bool, pods: int) -> None:
        """pods: how many of them a run with spec.elastic gets."""
        set_suspended(self.cluster, self.control.list_living_jobs()[0], suspended, pods=pods)

    @rule(resumes=st.booleans())
    def hold(self, resumes: bool) -> None:
        """Kueue is down, or slow, when the controller restarts the pods of a Job."""
        self.cluster.resumes = resumes

    @invariant()
    def what_one_job_saves_is_not_mixed_with_what_another_saves(self) -> None:
        assert len(self.folder.commits) == len(set(self.folder.commits))

    @invariant()
    def there_is_at_most_one_living_job(self) -> None:
        assert len(self.control.list_living_jobs()) <= 1

    # How it ends.

    def live_to_the_end(self) -> None:
        """Disruptions stop, or never stop and no checkpoint is saved: the run ends either way."""
        view: Any = self.cluster.view
        view.catch_up()
        self.control.runner.obeys = ContainerExit(143)
        self.cluster.resumes = True
        for pod in self._find_stopping():
            if pod in self.control.runner.get_living():  # the end of one may have ended another
                self.control.runner.end(pod, 143)
        for node in NODES:
            self.cluster.kubelet.nodes[node].room = None
            restore_node(self.cluster, node)
        if self.cluster.store.get("TrainingRun", "default", NAME) is None:
            return
        self._finish()
        if self.extends:
            continued = self.watcher.status.continued_time
            self.control.clock.advance(1)
            self.extend(10)
            self._finish()
            assert self.watcher.status.continued_time != continued, "a finished run with more steps continues"

    def _finish(self) -> None:
        self.suspend(suspend=False)
        self.control.settle()
        for _ in range(40):
            self._admit()
            if self.watcher.status.completion_time is not None:
                break
            _ENDINGS[self.ending](self)
            self.control.advance(650, step=650)
        assert self.watcher.status.completion_time is not None, "every run ends"
        self.control.settle()
        assert not self.control.list_living_jobs(), "nothing is left running"
        run = self.control.get_run(NAME)
        if run.status.state == "Complete":
            assert not wants_more(run.status, run.spec), "a run is Complete with the steps that its spec asks for"

    def _admit(self) -> None:
        self.control.settle()
        if self._is_queued():
            for job in self.control.list_living_jobs():
                set_suspended(self.cluster, job, suspended=False)
            self.control.settle()

    def _end_all(self, code: int) -> None:
        for pod in self.find_running():
            if pod in self.find_running():
                self._end(pod, code)

    def _evict_first(self) -> None:
        for pod in self.find_disruptable()[:1]:
            disrupt(self.cluster, pod, EVICTED)

    def _end(self, pod: str, code: int) -> None:
        """End a container; note its Job as failed when that was its own doing."""
        found = self.control.runner.find(pod)
        if code == 0 and not self.folder.save(found):
            code = 69
        stopped = found.grace_seconds is not None and code in {75, 137}
        if code in FAILURES and not stopped:
            self.failed_jobs.add(self._get_job(pod))
        index = int(found.pod["metadata"]["annotations"][COMPLETION_INDEX_ANNOTATION])
        hang = Failure(reason="Hung", message=f"rank {index} hangs", exit_code=79, rank=index) if code == 79 else None
        report = self._build_report(self.step, None, pod).updated(failure=hang)
        self.control.end(pod, code, report if code in {0, 79} or pod in self.restarts else None)

    def _build_report(self, step: int, saved: int | None, pod: str) -> Report:
        train = TrainReport(attempt=1, phase="step", step=step, total_steps=1000, saved_step=saved)
        restarts = list(self.restarts.get(pod, []))
        return Report(step="train", time=self.control.clock.now(), train=train, restarts=restarts)

    def _get_job(self, pod: str) -> str:
        job: str = self.control.runner.find(pod).pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        return job

    def _find_team(self) -> list[str]:
        """All pods of the living Job, if they run and may start their processes again."""
        pods = self.find_running()
        if not pods or any(self.control.runner.find(pod).grace_seconds is not None for pod in pods):
            return []
        jobs = {self._get_job(pod) for pod in pods}
        used = max(len(self.restarts.get(pod, [])) for pod in pods)
        (job, *others), manifests = (
            sorted(jobs),
            {item["metadata"]["name"]: item for item in self.cluster.store.select("Job")},
        )
        is_whole = not others and job in manifests and manifests[job]["spec"]["completions"] == len(pods)
        return pods if is_whole and used < MAX_RESTARTS_IN_PLACE else []

    def _is_queued(self) -> bool:
        run = self.cluster.store.get("TrainingRun", "default", NAME)
        return run is not None and QUEUE_NAME in run["metadata"].get("labels", {})

    def _find_stopping(self) -> list[str]:
        return [name for name in self.control.runner.get_living() if self.control.runner.pods[name].grace_seconds]


_ENDINGS: dict[str, Callable[[RunMachine], None]] = {
    "succeed": lambda machine: machine._end_all(0),
    "fail": lambda machine: machine._end_all(1),
    "evict": lambda machine: machine._evict_first(),
}

TestTrainingRunMachine = RunMachine.TestCase
TestTrainingRunMachine.settings = LIVES
