"""Watch events: they update the cache and queue resources, and do nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from deepsynth_api.labels import OWNER_KIND, OWNER_NAME_ANNOTATION, OWNER_UID
from deepsynth_operator.controller.waiting_keys import Urgency
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.observed import JOB_NAME_LABEL
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache
from deepsynth_operator.kubernetes.watches.watch_events import (
    CHILD_SECONDS,
    FINISHED_SECONDS,
    QUIET_SECONDS,
    WatchEvents,
)
from support.clocks import virtual_time
from support.resources.builders import CREATED, a_dataset_generation, a_training_run

RUN, GENERATION = (
    ResourceKey("TrainingRun", "default", "read-xsum"),
    ResourceKey("DatasetGeneration", "default", "xsum"),
)


class Watched:
    """WatchEvents with a queue that has no workers."""

    def __init__(self) -> None:
        async def never(_: ResourceKey) -> None:
            raise AssertionError

        self.queue: WorkQueue[ResourceKey] = WorkQueue(never)
        self.events = WatchEvents(ResourceCache(), self.queue)

    def take_keys(self) -> set[ResourceKey]:
        return {self.queue._waiting.pop()[0] for _ in range(self.queue.depth)}

    async def take_later(self, seconds: float = QUIET_SECONDS) -> set[ResourceKey]:
        assert self.take_keys() == set()
        await asyncio.sleep(seconds)
        return self.take_keys()


def watch(script: Callable[[Watched], Awaitable[None]]) -> None:
    async def main() -> None:
        await script(Watched())

    virtual_time.run(main())


def build_event(manifest: Any, kind: str | None = "MODIFIED", version: int = 1) -> dict[str, Any]:
    metadata = {"resourceVersion": str(version), **manifest["metadata"]}
    return {"type": kind, "object": {**manifest, "metadata": metadata}}


def build_child(kind: str = "TrainingRun", name: str = "read-xsum", uid: str = "c1") -> dict[str, Any]:
    metadata = {"name": "x", "namespace": "default", "uid": uid, "labels": {OWNER_KIND: kind}}
    return {"metadata": {**metadata, "annotations": {OWNER_NAME_ANNOTATION: name}}, "spec": {}, "status": {}}


def a_waiting_run() -> Any:
    return a_training_run().with_spec(datasets=[{"name": "x", "datasetGenerationRef": {"name": "xsum"}}])


def test_a_finished_resource_waits_for_those_that_are_not() -> None:
    async def script(watched: Watched) -> None:
        complete = {"type": "Complete", "status": "True", "reason": "Succeeded", "lastTransitionTime": CREATED}
        finished = a_training_run().with_status(conditions=[complete]).to_manifest()
        watched.events.note_resource("TrainingRun", build_event(finished, None))
        watched.events.note_resource("DatasetGeneration", build_event(a_dataset_generation().to_manifest(), None))
        assert watched.take_keys() == {GENERATION}
        await asyncio.sleep(FINISHED_SECONDS)
        assert watched.take_keys() == {RUN}

    watch(script)


def test_each_event_queues_the_resource_that_it_concerns() -> None:
    async def script(watched: Watched) -> None:
        run, generation = a_training_run().to_manifest(), a_dataset_generation().to_manifest()
        watched.events.note("TrainingRun", build_event(run, None))
        assert watched.take_keys() == {RUN}
        watched.events.note("DatasetGeneration", build_event(generation, None))
        assert watched.take_keys() == {GENERATION}
        watched.events.note("Job", build_event(build_child()))
        assert await watched.take_later() == {RUN}
        watched.events.note("Pod", build_event(build_child("DatasetGeneration", "xsum")))
        assert await watched.take_later() == {GENERATION}

    watch(script)


@pytest.mark.parametrize("kind", ["Pod", "Job"])
def test_a_child_that_changes_in_nothing_that_decisions_use_queues_nothing(kind: Any) -> None:
    async def script(watched: Watched) -> None:
        child = build_child()
        watched.events.note_child(kind, build_event(child, "ADDED"))
        assert await watched.take_later() == {RUN}
        child["metadata"]["finalizers"] = ["batch.kubernetes.io/job-tracking"]
        child["status"] = {"uncountedTerminatedPods": {}, "qosClass": "Burstable"}
        watched.events.note_child(kind, build_event(child, version=2))
        assert await watched.take_later() == set()
        watched.events.note_child(kind, build_event(child, None, version=3))
        assert await watched.take_later() == {RUN}, "a process that has just started knows nothing"
        child["status"] = {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}
        watched.events.note_child(kind, build_event(child, version=4))
        assert await watched.take_later() == {RUN}

    watch(script)


def test_a_change_queues_the_runs_that_wait_for_the_resource() -> None:
    async def script(watched: Watched) -> None:
        warm = a_training_run("warm").named("warm", uid="u2").with_spec(model={"trainingRunRef": {"name": "read-xsum"}})
        watched.events.note_resource("TrainingRun", build_event(a_waiting_run().to_manifest()))
        watched.events.note_resource("TrainingRun", build_event(warm.to_manifest()))
        watched.take_keys()
        watched.events.note_resource("DatasetGeneration", build_event(a_dataset_generation().to_manifest()))
        assert watched.take_keys() == {GENERATION, RUN}
        watched.events.note_resource("TrainingRun", build_event(a_waiting_run().to_manifest(), version=2))
        assert watched.take_keys() == {RUN, ResourceKey("TrainingRun", "default", "warm")}

    watch(script)


def test_a_run_that_has_started_or_is_gone_waits_for_nothing() -> None:
    async def script(watched: Watched) -> None:
        started = a_waiting_run().with_status(startTime="2026-01-02T03:04:05Z").to_manifest()
        generation = build_event(a_dataset_generation().to_manifest())
        watched.events.note_resource("TrainingRun", build_event(a_waiting_run().to_manifest()))
        watched.events.note_resource("TrainingRun", build_event(started, version=2))
        watched.take_keys()
        watched.events.note_resource("DatasetGeneration", generation)
        assert watched.take_keys() == {GENERATION}
        other = a_waiting_run().named("read-xsum", uid="u2").to_manifest()
        watched.events.note_resource("TrainingRun", build_event(other, version=3))
        watched.events.note_resource("TrainingRun", build_event(other, "DELETED", version=4))
        watched.take_keys()
        watched.events.note_resource("DatasetGeneration", generation)
        assert watched.take_keys() == {GENERATION}
        assert not watched.events.referrers._waiting

    watch(script)


def test_a_deleted_pod_queues_its_owner_and_is_kept_in_its_last_state() -> None:
    async def script(watched: Watched) -> None:
        watched.events.note_child("Pod", build_event(build_child(), "DELETED"))
        assert await watched.take_later() == {RUN}
        assert watched.events.cache.was_deleted("c1", 1)

    watch(script)


def test_a_labelled_object_without_an_owner_is_cached_and_queues_nothing() -> None:
    async def script(watched: Watched) -> None:
        child = build_child()
        del child["metadata"]["annotations"]
        watched.events.note_child("Job", build_event(child))
        watched.events.note_child("Job", build_event(build_child(kind="Deployment", uid="c2")))
        assert watched.take_keys() == set()
        assert watched.events.cache.find("Job", "c1") is not None

    watch(script)


def test_an_unreported_deletion_is_handled_like_a_reported_one() -> None:
    async def script(watched: Watched) -> None:
        event = build_event(a_training_run().to_manifest())
        watched.events.note_resource("TrainingRun", event)
        watched.events.note_child("Job", build_event(build_child()))
        watched.take_keys()
        watched.events.note_gone("Job", build_event(build_child())["object"])
        assert watched.take_keys() == {RUN}
        watched.events.note_gone("TrainingRun", event["object"])
        assert watched.take_keys() == {RUN}
        assert watched.events.cache.get("TrainingRun", "default", "read-xsum") is None

    watch(script)


def with_status(**status: Any) -> dict[str, Any]:
    return {**build_child(), "status": status}


ENDED = {"conditions": [{"type": "Failed", "status": "True"}]}


@pytest.mark.parametrize(
    ("kind", "before", "after", "is_at_once", "urgency"),
    [
        ("Job", build_child(), with_status(**ENDED), True, Urgency.ENDING),
        ("Job", build_child(), {**build_child(), "spec": {"suspend": True}}, True, Urgency.RUNNING),
        ("Job", build_child(), with_status(active=1), False, Urgency.RUNNING),
        ("Pod", build_child(), with_status(phase="Running"), False, Urgency.RUNNING),
        ("Pod", build_child(), with_status(phase="Failed"), False, Urgency.ENDING),
    ],
)
def test_ends_come_first_and_what_a_queue_does_is_seen_at_once(
    kind: Any, before: Any, after: Any, is_at_once: bool, urgency: Urgency
) -> None:
    async def script(watched: Watched) -> None:
        watched.events.note_child(kind, build_event(before))
        await watched.take_later()
        watched.events.note_child(kind, build_event(after, version=2))
        assert (watched.queue.depth == 1) == is_at_once
        await asyncio.sleep(QUIET_SECONDS)
        assert watched.queue._waiting._urgency == {RUN: urgency}

    watch(script)


WAITING = {"containerStatuses": [{"name": "train", "state": {"waiting": {"reason": "ContainerCreating"}}}]}
UNSCHEDULABLE = {"conditions": [{"type": "PodScheduled", "status": "False"}]}
PULLING = {"containerStatuses": [{"name": "train", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}


@pytest.mark.parametrize(
    ("status", "can_wait"),
    [
        ({"phase": "Pending"}, True),
        ({"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}], **WAITING}, True),
        ({"phase": "Succeeded"}, True),
        ({"phase": "Pending", **PULLING}, False),
        ({"phase": "Pending", **UNSCHEDULABLE}, False),
        ({"phase": "Running"}, False),
        ({"phase": "Failed"}, False),
    ],
)
def test_a_pod_that_only_starts_or_has_succeeded_can_wait_longer(status: Any, can_wait: bool) -> None:
    async def script(watched: Watched) -> None:
        watched.events.note_child("Pod", build_event(with_status(**status)))
        assert await watched.take_later(CHILD_SECONDS) == (set() if can_wait else {RUN})
        assert await watched.take_later() == ({RUN} if can_wait else set())

    watch(script)


@pytest.mark.parametrize(
    ("spec", "job", "observed", "is_settled"),
    [
        ({}, None, 1, True),
        ({}, {"conditions": [{"type": "Complete", "status": "True"}]}, 1, True),
        ({"ttlSecondsAfterFinished": 60}, None, 1, True),
        ({}, None, 0, False),
        ({}, {"active": 1}, 1, False),
        ({"ttlSecondsAfterFinished": 60}, {"conditions": [{"type": "Complete", "status": "True"}]}, 1, False),
    ],
    ids=["no Job", "a finished Job", "nothing to delete", "a changed spec", "a Job that runs", "a Job to delete"],
)
def test_a_finished_resource_with_nothing_left_to_do_is_not_looked_at(
    spec: Any, job: Any, observed: int, is_settled: bool
) -> None:
    async def script(watched: Watched) -> None:
        complete = {"type": "Complete", "status": "True", "reason": "Succeeded", "lastTransitionTime": CREATED}
        run = a_training_run().with_spec(**spec).with_status(conditions=[complete], observedGeneration=observed)
        manifest = run.with_metadata(generation=1).to_manifest()
        if job is not None:
            child = with_status(**job)
            labels = {**child["metadata"]["labels"], OWNER_UID: manifest["metadata"]["uid"]}
            child["metadata"] = {**child["metadata"], "labels": labels}
            watched.events.cache.put("Job", build_event(child)["object"])
        watched.events.note_resource("TrainingRun", build_event(manifest, None))
        assert await watched.take_later() == (set() if is_settled else {RUN})

    watch(script)


def test_the_last_pod_of_a_job_that_has_ended_is_seen_at_once() -> None:
    async def script(watched: Watched) -> None:
        watched.events.note_child("Job", build_event({**with_status(**ENDED), "spec": {}}))
        assert watched.take_keys() == {RUN}
        pod = with_status(phase="Succeeded")
        pod["metadata"] = {**pod["metadata"], "uid": "p", "labels": {**pod["metadata"]["labels"], JOB_NAME_LABEL: "x"}}
        watched.events.note_child("Pod", build_event(pod))
        assert watched.take_keys() == {RUN}

    watch(script)


def test_a_job_whose_pods_only_start_or_succeed_can_wait_longer_than_one_that_fails() -> None:
    async def script(watched: Watched) -> None:
        watched.events.note_child("Job", build_event(with_status(active=1), "ADDED"))
        await watched.take_later()
        watched.events.note_child("Job", build_event(with_status(active=1, completedIndexes="0"), version=2))
        assert await watched.take_later(CHILD_SECONDS) == set()
        watched.events.note_child("Job", build_event(with_status(active=1, failedIndexes="1"), version=3))
        assert await watched.take_later(CHILD_SECONDS) == {RUN}

    watch(script)


def test_what_is_known_of_a_child_already_and_pods_of_finished_resources_queue_nothing() -> None:
    async def script(watched: Watched) -> None:
        watched.events.cache.put("Job", build_event(build_child())["object"])
        watched.events.note_child("Job", build_event(build_child(), "ADDED"))
        assert await watched.take_later() == set(), "this process has created it"
        complete = {"type": "Complete", "status": "True", "reason": "Succeeded", "lastTransitionTime": CREATED}
        finished = a_training_run().with_status(conditions=[complete]).to_manifest()
        watched.events.cache.put_own("TrainingRun", build_event(finished)["object"])
        watched.events.note_resource("TrainingRun", build_event(finished))
        watched.events.note_child("Pod", build_event(with_status(phase="Succeeded"), version=2))
        assert await watched.take_later() == set()

    watch(script)


def test_the_echo_of_an_own_write_queues_nothing_but_those_that_wait_for_the_resource() -> None:
    async def script(watched: Watched) -> None:
        watched.events.note_resource("TrainingRun", build_event(a_waiting_run().to_manifest()))
        watched.events.note_resource("DatasetGeneration", build_event(a_dataset_generation().to_manifest()))
        watched.take_keys()
        written = a_dataset_generation().with_status(state="Planning").to_manifest()
        echo = build_event(written, version=2)
        watched.events.cache.put_own("DatasetGeneration", echo["object"])
        watched.events.note_resource("DatasetGeneration", echo)
        assert watched.take_keys() == {RUN}
        watched.events.note_resource("DatasetGeneration", build_event(written, version=3))
        assert watched.take_keys() == {GENERATION}, "somebody else's change"

    watch(script)


def test_progress_of_a_resource_does_not_queue_those_that_wait_for_it() -> None:
    """Fifty runs that waited for one dataset made five hundred requests for ten changes."""

    async def script(watched: Watched) -> None:
        watched.events.note_resource("TrainingRun", build_event(a_waiting_run().to_manifest()))
        for version in range(2, 12):
            status = {"state": "Rendering", "progress": {"percentage": version}}
            generation = a_dataset_generation().with_status(**status).to_manifest()
            watched.take_keys()
            watched.events.note_resource("DatasetGeneration", build_event(generation, version=version))
            assert (RUN in watched.take_keys()) == (version == 2)

    watch(script)


def test_a_pod_is_polled_when_it_starts_and_not_again() -> None:
    async def script(watched: Watched) -> None:
        started: list[Any] = []
        events = WatchEvents(watched.events.cache, watched.queue, on_start=started.append)
        events.note_child("Pod", build_event(with_status(phase="Pending"), "ADDED"))
        events.note_child("Pod", build_event(with_status(phase="Running", podIP="10.0.0.1"), version=2))
        assert [pod["status"]["podIP"] for pod in started] == ["10.0.0.1"]
        events.note_child("Pod", build_event(with_status(phase="Running", reason="x"), version=3))
        events.note_child("Pod", build_event(with_status(phase="Succeeded"), version=4))
        assert len(started) == 1

    watch(script)
