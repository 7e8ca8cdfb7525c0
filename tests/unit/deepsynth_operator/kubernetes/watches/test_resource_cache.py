"""The cache: late, duplicate and lost watch events, and names that are used again."""

import json
from typing import Any

from deepsynth_api.labels import (
    DEADLINE_ANNOTATION,
    DOCUMENT_ANNOTATION,
    DOCUMENT_TIME_ANNOTATION,
    MIN_PARALLELISM,
    OWNER_UID,
    QUEUE_JOB_ANNOTATION,
    QUEUE_NAME,
    QUEUE_PODSET,
    QUEUE_PRIORITY_CLASS,
    RESTART_ANNOTATION,
    STEP,
    STOPPING_ANNOTATION,
)
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.core.observed import ObservedJob
from deepsynth_operator.kubernetes.watches.deleted_pods import REMEMBERED_SECONDS
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache
from support.resources.builders import a_training_run


class Clock:
    time = 1000.0

    def __call__(self) -> float:
        return self.time


def build(name: str, uid: str, version: int, owner: str = "owner", **fields: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "a",
        "uid": uid,
        "resourceVersion": str(version),
        "labels": {OWNER_UID: owner},
    }
    return {"metadata": metadata, "spec": {}, "status": {}, **fields}


def list_names(cache: ResourceCache, kind: Any = "Pod", owner: str = "owner") -> list[str]:
    return sorted(item["metadata"]["name"] for item in cache.list_children(kind, "a", owner))


def test_an_older_version_does_not_replace_a_newer_one() -> None:
    cache = ResourceCache()
    cache.put("TrainingRun", build("r", "1", 9, spec={"numNodes": 2}))
    cache.put("TrainingRun", build("r", "1", 10, spec={"numNodes": 3}))
    cache.put("TrainingRun", build("r", "1", 9, spec={"numNodes": 2}))
    found = cache.get("TrainingRun", "a", "r")
    assert found is not None
    assert found["spec"] == {"numNodes": 3}


def test_a_late_list_does_not_restore_a_deleted_object() -> None:
    cache = ResourceCache()
    cache.put("Pod", build("p", "1", 5))
    cache.remove("Pod", build("p", "1", 6))
    cache.put("Pod", build("p", "1", 5))
    assert list_names(cache) == []


def test_a_name_that_is_used_again_belongs_to_the_newer_object() -> None:
    cache = ResourceCache()
    cache.put("TrainingRun", build("r", "old", 5))
    cache.put("TrainingRun", build("r", "new", 7))
    cache.remove("TrainingRun", build("r", "old", 6))
    found = cache.get("TrainingRun", "a", "r")
    assert found is not None
    assert found["metadata"]["uid"] == "new"
    cache.remove("TrainingRun", build("r", "new", 8))
    assert cache.get("TrainingRun", "a", "r") is None


def test_a_late_deletion_of_the_older_object_does_not_remove_the_newer_one() -> None:
    cache = ResourceCache()
    cache.put("TrainingRun", build("r", "old", 5))
    cache.put("TrainingRun", build("r", "new", 9))
    cache.put("TrainingRun", build("r", "old", 7))
    cache.remove("TrainingRun", build("r", "old", 8))
    cache.put("TrainingRun", build("r", "new", 9))
    found = cache.get("TrainingRun", "a", "r")
    assert found is not None
    assert found["metadata"]["uid"] == "new"


def test_children_are_found_by_their_owner() -> None:
    cache = ResourceCache()
    cache.put("Pod", build("p1", "1", 5))
    cache.put("Pod", build("p2", "2", 5, owner="other"))
    cache.put("Job", build("j", "3", 5))
    assert list_names(cache) == ["p1"]
    assert list_names(cache, "Job") == ["j"]
    assert cache.list_children("Pod", "b", "owner") == []


def test_deleted_pods_are_kept_for_ten_minutes() -> None:
    clock = Clock()
    cache = ResourceCache(clock)
    cache.remove("Pod", build("p", "1", 6))
    assert [pod["metadata"]["name"] for pod in cache.list_deleted_pods("a", "owner")] == ["p"]
    assert cache.list_deleted_pods("a", "other") == cache.list_deleted_pods("b", "owner") == []
    clock.time += REMEMBERED_SECONDS + 1
    assert cache.list_deleted_pods("a", "owner") == []
    assert not cache.was_deleted("1", 6)


def test_only_a_newer_version_restores_a_deleted_object() -> None:
    """A watch with a selector reports a removed label as a deletion. The label may be added again."""
    cache = ResourceCache()
    cache.put("Pod", build("p", "1", 5))
    cache.remove("Pod", build("p", "1", 6))
    cache.put("Pod", build("p", "1", 6))
    assert list_names(cache) == []
    assert (cache.was_deleted("1", 6), cache.was_deleted("1", 7)) == (True, False)
    cache.put("Pod", build("p", "1", 7))
    assert list_names(cache) == ["p"]
    assert cache.list_deleted_pods("a", "owner") == []


def test_the_number_of_deleted_pods_is_limited() -> None:
    cache = ResourceCache(max_deleted_pods=3)
    for number in range(5):
        cache.remove("Pod", build(f"p{number}", str(number), 6))
    assert [pod["metadata"]["name"] for pod in cache.list_deleted_pods("a", "owner")] == ["p2", "p3", "p4"]


def test_only_the_fields_of_a_pod_that_are_used_are_kept() -> None:
    pod = build("p", "1", 5, spec={"nodeName": "n", "containers": [{}]}, status={"phase": "Running", "qosClass": "x"})
    pod["metadata"] |= {"managedFields": [{}], "annotations": {"deepsynth.io/owner-name": "r", "other": "x"}}
    cache = ResourceCache()
    cache.put("Pod", pod)
    (kept,) = cache.list_children("Pod", "a", "owner")
    assert kept["spec"] == {"nodeName": "n"}
    assert kept["status"] == {"phase": "Running"}
    assert kept["metadata"]["annotations"] == {"deepsynth.io/owner-name": "r"}
    assert "managedFields" not in kept["metadata"]


def test_deleted_objects_leave_nothing_in_the_cache() -> None:
    clock = Clock()
    cache = ResourceCache(clock)
    for number in range(10):
        for kind in ("Pod", "Job", "TrainingRun"):
            cache.put(kind, build(f"x{number}", f"{kind}{number}", 5, owner=str(number)))
            cache.remove(kind, build(f"x{number}", f"{kind}{number}", 6, owner=str(number)))
    clock.time += REMEMBERED_SECONDS + 1
    cache.list_deleted_pods("a", "0")
    assert not cache._uids
    assert not cache._children
    assert not cache._deleted
    assert not cache._deleted_pods
    assert not any(cache._objects.values())


def test_of_a_resource_only_what_decisions_use_is_kept() -> None:
    """12 resources with a megabyte of affinity each were enough to exceed the operator's memory."""
    run = a_training_run().with_template(terminationGracePeriodSeconds=77, annotations={"a": "x" * 4096}).to_manifest()
    run["spec"]["template"]["affinity"] = {"x": "y" * 1_000_000}
    run["metadata"] |= {
        "resourceVersion": "5",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x" * 200_000},
        "labels": {"a": "b"},
        "finalizers": ["x" * 100_000],
        "managedFields": [{"fieldsV1": "x" * 100_000}],
    }
    cache = ResourceCache()
    cache.put("TrainingRun", run)
    kept = cache.get("TrainingRun", "default", "read-xsum")
    assert kept is not None
    assert len(json.dumps(kept)) < 1000
    parsed, whole = TrainingRun.model_validate(kept), a_training_run().build()
    assert parsed.spec.template.termination_grace_period_seconds == 77
    assert parsed.spec.updated(template=whole.spec.template) == whole.spec
    assert parsed.metadata.generation == 1


def test_of_a_job_only_what_decisions_use_is_kept() -> None:
    job = build("j", "1", 5, spec={"parallelism": 2, "template": {"x": "y" * 100_000}})
    job["status"] = {"active": 2, "uncountedTerminatedPods": {"failed": ["x" * 36] * 10_000}}
    job["metadata"]["labels"] |= {"other": "x" * 63}
    cache = ResourceCache()
    cache.put("Job", job)
    (kept,) = cache.list_children("Job", "a", "owner")
    assert kept["status"] == {"active": 2}
    assert kept["spec"] == {"parallelism": 2}
    assert kept["metadata"]["labels"] == {OWNER_UID: "owner"}


def test_a_job_in_the_cache_is_observed_as_it_is() -> None:
    """Else a decision made from the cache would differ from the one that the API server confirms, at every look."""
    annotations = {
        DEADLINE_ANNOTATION: "60",
        DOCUMENT_ANNOTATION: "2",
        DOCUMENT_TIME_ANNOTATION: "2026-01-02T03:04:05Z",
        MIN_PARALLELISM: "1",
        QUEUE_JOB_ANNOTATION: "xsum-queue",
        RESTART_ANNOTATION: "3",
        STOPPING_ANNOTATION: "true",
    }
    template = {"metadata": {"labels": {QUEUE_PODSET: "main"}}, "spec": {}}
    spec = {
        "suspend": True,
        "managedBy": "deepsynth.io/operator",
        "activeDeadlineSeconds": 60,
        "parallelism": 2,
        "completions": 2,
        "backoffLimitPerIndex": 1,
        "template": template,
    }
    indexes = {"completedIndexes": "0", "failedIndexes": "1"}
    status = {"active": 2, "ready": 1, "succeeded": 1, "startTime": "2026-01-02T03:04:05Z", **indexes}
    job = build("j", "1", 5, spec=spec, status=status)
    job["metadata"] |= {"annotations": annotations, "creationTimestamp": "2026-01-02T03:04:05Z"}
    job["metadata"]["labels"] |= {QUEUE_NAME: "team", QUEUE_PRIORITY_CLASS: "high", STEP: "queue"}
    cache = ResourceCache()
    cache.put("Job", job)
    (kept,) = cache.list_children("Job", "a", "owner")
    observed = ObservedJob.parse(job)
    assert ObservedJob.parse(kept) == observed
    assert all(
        getattr(observed, name) for name in ("has_own_deadline", "queue_job", "ready", "is_held", "was_admitted")
    )


def test_deleted_pods_of_one_namespace_do_not_displace_those_of_others() -> None:
    cache = ResourceCache(max_deleted_pods=5)
    cache.remove("Pod", build("mine", "mine", 6))
    for number in range(50):
        flood = build(f"p{number}", str(number), 6, owner="stranger")
        flood["metadata"]["namespace"] = "b"
        cache.remove("Pod", flood)
    assert [pod["metadata"]["name"] for pod in cache.list_deleted_pods("a", "owner")] == ["mine"]
    assert len(cache.list_deleted_pods("b", "stranger")) == 4
