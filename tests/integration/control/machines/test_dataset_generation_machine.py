"""Random lives of a DatasetGeneration: what must hold no matter what happens and what the controller misses."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from deepsynth_api.conditions import ConditionType, is_true
from deepsynth_api.kinds import ResourceKind
from deepsynth_api.labels import QUEUE_NAME
from deepsynth_api.report import PlanReport, PublishReport, RenderReport, Report
from deepsynth_api.v1alpha1 import DatasetGeneration, DatasetGenerationStatus
from deepsynth_operator.decisions.dataset_generation.jobs import list_jobs, list_live
from deepsynth_simulator.object_store import ObjectKey, WatchEvent
from integration.control.machines.control_machine import LIVES, NODES, ControlMachine
from integration.control.machines.drawn_lives import check_is_drawn
from support.cluster.cluster_faults import (
    disrupt,
    lose_node,
    restore_node,
    set_suspended,
    taint_node,
)
from support.resources.builders import a_dataset_generation

NAME = "xsum"
QUEUE_JOB = "xsum-queue"
SHARDS = 3
STATES = ("Starting", "Planning", "Rendering", "Publishing")
ORDER = ("plan", "render", "publish")
SECONDS = (1, 10, 60, 400, 700)


class Watcher:
    """Sees every status that is written and every Job that is made, in their true order, and objects."""

    def __init__(self) -> None:
        self.status = DatasetGenerationStatus()
        self.jobs: dict[str, str] = {}
        self.furthest = 0
        """Index in STATES of the furthest state that was shown."""

    def receive(self, event: WatchEvent) -> None:
        kind = event.manifest["kind"]
        if kind == "DatasetGeneration":
            self._check_status(DatasetGeneration.model_validate(event.manifest).status)
        elif kind == "Job" and event.type == "ADDED":
            self._check_new_job(event.manifest["metadata"]["name"])

    def _check_status(self, new: DatasetGenerationStatus) -> None:
        old, self.status = self.status, new
        check_is_drawn("DatasetGeneration", old, new)
        if is_true(old.conditions, ConditionType.COMPLETE) or is_true(old.conditions, ConditionType.FAILED):
            assert (new.state, new.completion_time, new.jobs) == (old.state, old.completion_time, old.jobs)
        if old.plan is not None:
            assert new.plan == old.plan, "the plan is pinned"
        if old.output is not None:
            assert new.output == old.output
        if old.progress is not None and new.progress is not None:
            for field in ("shards_done", "rows", "pages", "bytes", "percentage"):
                assert getattr(new.progress, field) >= getattr(old.progress, field), field
        assert sum(job.outcome is None for job in new.jobs) <= 1
        if new.ahead is not None:
            assert [job.step for job in list_live(new)][:1] == ["plan"], "only while the plan is made"
        known = {job.name: job for job in old.jobs}
        for job in new.jobs:
            before = known.get(job.name)
            if before is not None and before.outcome is not None:
                assert job == before, "an outcome is final"
        if new.state in STATES and old.state != new.state:
            assert STATES.index(new.state) >= self.furthest, "states do not go back"
            self.furthest = STATES.index(new.state)
        last = new.jobs[-1].step if new.jobs else "plan"
        before_last = old.jobs[-1].step if old.jobs else "plan"
        assert ORDER.index(last) >= ORDER.index(before_last), "steps do not go back"

    def _check_new_job(self, name: str) -> None:
        if name == QUEUE_JOB:
            return
        live = {job.name: job for job in list_live(self.status)}
        assert name in live, "the status names a Job before it exists"
        last = live[name]
        assert name not in self.jobs or not last.uid, "a Job's name is used once"
        if last.step == "publish":
            assert self.status.progress is not None
            assert not self.status.progress.failed_indexes, "nothing is published after a failed shard"
            assert self.status.progress.shards_done == SHARDS
        self.jobs[name] = last.step


class GenerationMachine(ControlMachine):
    """Three shards, two at a time, one failure each."""

    kind: ResourceKind = "DatasetGeneration"
    name = NAME

    def __init__(self) -> None:
        super().__init__()
        self.watcher = Watcher()
        self.cluster.store.subscribe(self.watcher.receive)
        self.has_failed = self.queued = False
        self.most = 2

    @initialize(queued=st.booleans(), keeps=st.booleans(), staged=st.integers(0, SHARDS))
    def apply(self, queued: bool, keeps: bool, staged: int) -> None:
        """keeps: whether the cache takes the controller's own writes before their events. staged: by the first plan."""
        self.cluster.view.keeps_writes = keeps
        self.queued = queued
        generation = a_dataset_generation(NAME).with_spec(parallelism=2, backoffLimitPerIndex=1)
        self.cluster.apply_resource((generation.labelled({QUEUE_NAME: "team"}) if queued else generation).to_manifest())
        if staged and not queued:
            self.control.settle()
            self._stage(staged)
            self.control.settle()

    @rule(seconds=st.sampled_from(SECONDS))
    def watch(self, seconds: int) -> None:
        self.control.clock.advance(seconds)
        self.control.settle()

    # The pods.

    @precondition(lambda self: self.find_running())
    @rule(data=st.data(), code=st.sampled_from([0, 0, 0, 0, 1, 65, 75, 137, 143]))
    def end_pod(self, data: st.DataObject, code: int) -> None:
        self._end(data.draw(st.sampled_from(self.find_running())), code)

    @precondition(lambda self: self.find_running())
    @rule(documents=st.integers(0, 9))
    def report(self, documents: int) -> None:
        for pod in self.find_running():
            if "-render-" in pod:
                self.control.report(pod, self._build_report(pod, documents))

    @precondition(lambda self: any("-plan-" in pod for pod in self.find_running()))
    @rule(shards=st.integers(1, SHARDS))
    def stage(self, shards: int) -> None:
        """The plan step reads, and some shards can be rendered."""
        self._stage(shards)
        self.watch(10)

    def _stage(self, shards: int) -> None:
        plan = PlanReport(revision="r1", staging="draft", staged_shards=shards)
        for pod in self.find_running():
            if "-plan-" in pod:
                self.control.report(pod, Report(step="plan", time=self.control.clock.now(), plan=plan))

    # The world.

    @precondition(lambda self: self.find_disruptable())
    @rule(data=st.data(), evicts=st.booleans())
    def take_away(self, data: st.DataObject, evicts: bool) -> None:
        pod = data.draw(st.sampled_from(self.find_disruptable()))
        if evicts:
            disrupt(self.cluster, pod)
        else:
            self.cluster.delete_object("Pod", "default", pod)

    @precondition(lambda self: self.control.list_jobs())
    @rule(data=st.data())
    def delete_job(self, data: st.DataObject) -> None:
        self.cluster.delete_object("Job", "default", data.draw(st.sampled_from(self.control.list_jobs())))

    @rule(node=st.sampled_from(NODES), loses=st.booleans())
    def lose_or_restore_node(self, node: str, loses: bool) -> None:
        if loses:
            lose_node(self.cluster, node)
            taint_node(self.cluster, node)
        else:
            restore_node(self.cluster, node)

    @rule(suspend=st.booleans())
    def suspend(self, suspend: bool) -> None:
        self._change_spec(suspend=suspend)

    @rule(parallelism=st.integers(1, 4))
    def scale(self, parallelism: int) -> None:
        self.most = max(self.most, parallelism)
        self._change_spec(parallelism=parallelism)

    @precondition(lambda self: self.control.list_living_jobs())
    @rule(suspended=st.booleans())
    def queue(self, suspended: bool) -> None:
        """What the queue does to the Job in it: the queue Job, if there is one."""
        set_suspended(self.cluster, max(self.control.list_living_jobs(), key=lambda name: name == QUEUE_JOB), suspended)

    @invariant()
    def there_is_at_most_one_living_job_or_one_that_renders_next_to_the_plan(self) -> None:
        steps = sorted(name.split("-")[1] for name in self._list_steps())
        assert len(steps) <= 1 or steps == ["plan", "render"]

    @invariant()
    def there_are_no_more_pods_than_were_ever_allowed(self) -> None:
        assert len(self.find_running()) <= self.most

    @invariant()
    def no_pod_uses_quota_that_the_queue_has_taken_back(self) -> None:
        queue_job = self.cluster.store.get("Job", "default", QUEUE_JOB)
        if self.queued and queue_job is not None and queue_job["spec"].get("suspend"):
            for name in self._list_steps():
                assert self.cluster.store.get("Job", "default", name)["spec"].get("suspend"), name

    def _list_steps(self) -> list[str]:
        return [name for name in self.control.list_living_jobs() if name != QUEUE_JOB]

    # How it ends.

    def live_to_the_end(self) -> None:
        """Everything calms down: the resource becomes Complete, unless a shard really failed too often."""
        if self.cluster.store.get("DatasetGeneration", "default", NAME) is None:
            return
        self.cluster.view.catch_up()
        for node in NODES:
            restore_node(self.cluster, node)
        self._change_spec(suspend=False)
        for _ in range(40):
            self.control.settle()
            for job in self.control.list_living_jobs():
                set_suspended(self.cluster, job, suspended=False)
            self.control.settle()
            if self.watcher.status.completion_time is not None:
                break
            for pod in self.find_running():
                self._end(pod, 0)
            self.control.advance(400, step=400)
        assert self.watcher.status.completion_time is not None, "every generation ends"
        assert self.watcher.status.state == "Complete" or self.has_failed
        self.control.settle()
        assert not self.control.list_living_jobs(), "nothing is left running"

    def _end(self, pod: str, code: int) -> None:
        self.has_failed |= code not in {0, 143}
        self.control.end(pod, code, self._build_report(pod, 10) if code == 0 else None)

    def _build_report(self, pod: str, documents: int) -> Report:
        now, index = self.control.clock.now(), int(pod.split("-")[3])
        entries = {job.name: job for job in list_jobs(self.watcher.status)}
        if "-plan-" in pod:
            splits: Any = [{"name": "train", "rows": 10 * SHARDS}]
            plan = PlanReport(revision="r1", digest="d1", staging="draft", splits=splits, shards=SHARDS, rows_read=40)
            return Report(step="plan", time=now, plan=plan)
        if "-render-" in pod:
            entry = entries.get("-".join(pod.split("-")[:3]))
            render = RenderReport(
                shard=index + (entry.first_shard if entry is not None else 0),
                documents_total=10,
                documents=documents,
                pages=documents,
                bytes=documents,
            )
            return Report(step="render", time=now, render=render)
        publish = PublishReport(uri="pvc://data/xsum", revision="v1", rows=30, pages=30, bytes=30, manifest_sha256="m")
        return Report(step="publish", time=now, publish=publish)

    def _change_spec(self, **fields: Any) -> None:
        key = ObjectKey("DatasetGeneration", "default", NAME)
        self.cluster.store.update(key, lambda item: item["spec"].update(fields))


TestDatasetGenerationMachine = GenerationMachine.TestCase
TestDatasetGenerationMachine.settings = LIVES
