"""KubernetesCluster: what the API server answers, and what the controller gets."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from deepsynth_api.labels import MANAGED_BY, OPERATOR_NAME, OWNER_UID
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.core.errors import (
    ClusterError,
    Conflict,
    ControllerError,
    ForeignChild,
    KindMissing,
    NamespaceGoing,
    NotPermitted,
    Refused,
)
from deepsynth_operator.kubernetes.event_recorder import BURST
from deepsynth_operator.kubernetes.kubernetes_cluster import KEEP_SECONDS, NODE_SECONDS
from integration.kubernetes_client.cluster_on_fake_api import Stage, a_cluster
from support.cluster.fake_api_server import Fault
from support.resources.builders import UID, a_dataset_generation, a_training_run

RUN = a_training_run().to_manifest()


def on_a_cluster(script: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with a_cluster() as stage:
            await script(stage)

    asyncio.run(main())


def build_job(name: str = "run-train-1", owner: str = UID, **spec: Any) -> dict[str, Any]:
    labels = {MANAGED_BY: OPERATOR_NAME, OWNER_UID: owner}
    metadata = {"name": name, "namespace": "default", "labels": labels}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"parallelism": 2, **spec}}


def build_service() -> dict[str, Any]:
    return {**build_job(), "apiVersion": "v1", "kind": "Service", "spec": {"clusterIP": "None"}}


def build_policy() -> dict[str, Any]:
    return {**build_job(), "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}}}


def test_get_answers_from_the_cache_and_read_from_the_api_server() -> None:
    async def script(stage: Stage) -> None:
        stage.server.put(RUN)
        assert await stage.cluster.get("TrainingRun", "default", "read-xsum") is None
        assert (await stage.cluster.read("TrainingRun", "default", "read-xsum")).metadata.uid == UID
        assert await stage.cluster.read("TrainingRun", "default", "other") is None
        stage.server.delete("TrainingRun", "read-xsum")
        assert (await stage.cluster.get("TrainingRun", "default", "read-xsum")).metadata.uid == UID

    on_a_cluster(script)


def test_a_resource_that_this_version_cannot_read_is_an_error_that_names_the_field() -> None:
    async def script(stage: Stage) -> None:
        stage.server.put({**RUN, "spec": {**RUN["spec"], "numNodes": "many"}})
        with pytest.raises(ControllerError, match=r"spec\.numNodes: .*install the CRDs"):
            await stage.cluster.read("TrainingRun", "default", "read-xsum")

    on_a_cluster(script)


def test_creating_a_child_twice_is_a_success() -> None:
    async def script(stage: Stage) -> None:
        await stage.cluster.create(build_job())
        created = stage.server.get("Job", "run-train-1")
        await stage.cluster.create(build_job(parallelism=9))
        assert stage.server.get("Job", "run-train-1") == created

    on_a_cluster(script)


def test_a_create_whose_answer_was_lost_is_a_success() -> None:
    async def script(stage: Stage) -> None:
        stage.server.faults = [Fault(method="POST", cut=True, after=True)]
        await stage.cluster.create(build_job())
        assert [code for *_, code in stage.client.counted] == ["unreachable", "409", "200"]

    on_a_cluster(script)


def test_a_name_that_another_owner_has_is_a_foreign_child() -> None:
    async def script(stage: Stage) -> None:
        stage.server.put(build_job(owner="someone-else"))
        with pytest.raises(ForeignChild, match="Job default/run-train-1"):
            await stage.cluster.create(build_job())

    on_a_cluster(script)


def test_a_child_that_disappears_while_it_is_created_is_a_conflict() -> None:
    async def script(stage: Stage) -> None:
        stage.server.faults = [Fault(409, method="POST", body={"reason": "AlreadyExists"})]
        with pytest.raises(Conflict):
            await stage.cluster.create(build_job())

    on_a_cluster(script)


@pytest.mark.parametrize("status", [400, 403, 413, 422])
def test_a_manifest_that_the_api_server_rejects_is_refused_with_its_message(status: int) -> None:
    async def script(stage: Stage) -> None:
        stage.server.put(build_policy())
        faults = ((status, "POST", ""), (409, "POST", "AlreadyExists"), (status, "PATCH", ""))
        stage.server.faults = [
            Fault(code, method=method, body={"message": "exceeded quota: gpus", "reason": reason})
            for code, method, reason in faults
        ]
        with pytest.raises(Refused, match="Job run-train-1: exceeded quota: gpus"):
            await stage.cluster.create(build_job())
        with pytest.raises(Refused, match="exceeded quota: gpus"):
            await stage.cluster.apply(build_policy())

    on_a_cluster(script)


def test_a_conflict_over_a_quota_is_not_a_foreign_child() -> None:
    async def script(stage: Stage) -> None:
        stage.server.faults = [Fault(409, body={"reason": "Conflict", "message": "resourcequotas changed"})]
        with pytest.raises(Conflict, match="resourcequotas changed"):
            await stage.cluster.create(build_job())

    on_a_cluster(script)


def test_a_namespace_that_is_being_deleted_is_not_a_refusal() -> None:
    async def script(stage: Stage) -> None:
        terminating = {"message": "being terminated", "details": {"causes": [{"reason": "NamespaceTerminating"}]}}
        stage.server.faults = [
            Fault(403, method="POST", body=terminating),
            Fault(404, method="POST"),
            Fault(403, method="POST", body=terminating),
        ]
        for _ in range(2):
            with pytest.raises(NamespaceGoing):
                await stage.cluster.create(build_job())
        with pytest.raises(NamespaceGoing):
            await stage.cluster.apply(build_policy())

    on_a_cluster(script)


def test_a_network_policy_is_created_in_one_request_and_later_applied_with_our_field_manager() -> None:
    async def script(stage: Stage) -> None:
        await stage.cluster.apply(build_policy())
        assert [request.method for request in stage.server.requests] == ["POST"]
        await stage.cluster.apply(build_policy())
        request = stage.server.requests[-1]
        assert request.headers["Content-Type"] == "application/apply-patch+yaml"
        assert request.query == {"fieldManager": OPERATOR_NAME, "force": "true"}
        assert stage.server.get("NetworkPolicy", "run-train-1") is not None

    on_a_cluster(script)


def test_a_network_policy_of_another_owner_is_not_taken_over() -> None:
    async def script(stage: Stage) -> None:
        theirs = {
            **build_policy(),
            "metadata": {"name": "run-train-1", "namespace": "default", "labels": {"app": "x"}},
        }
        stage.server.put(theirs)
        with pytest.raises(ForeignChild, match="NetworkPolicy default/run-train-1 exists and belongs to another owner"):
            await stage.cluster.apply(build_policy())
        assert (stage.server.get("NetworkPolicy", "run-train-1") or {})["metadata"]["labels"] == {"app": "x"}

    on_a_cluster(script)


def test_a_missing_right_of_the_operator_is_not_the_resources_fault() -> None:
    async def script(stage: Stage) -> None:
        user = "system:serviceaccount:deepsynth:deepsynth"
        message = f'jobs.batch is forbidden: User "{user}" cannot create resource "jobs" in API group "batch"'
        stage.server.faults = [Fault(403, method="POST", body={"message": message, "reason": "Forbidden"})]
        with pytest.raises(NotPermitted, match="grant the operator the rights in its chart"):
            await stage.cluster.create(build_job())

    on_a_cluster(script)


def test_parallelism_is_set_only_on_the_job_with_this_uid() -> None:
    async def script(stage: Stage) -> None:
        uid = stage.server.put(build_job())["metadata"]["uid"]
        await stage.cluster.patch_job("default", "run-train-1", uid=uid, change={"spec": {"parallelism": 7}})
        assert (stage.server.get("Job", "run-train-1") or {})["spec"]["parallelism"] == 7
        with pytest.raises(Conflict):
            await stage.cluster.patch_job("default", "run-train-1", uid="older", change={"spec": {"parallelism": 8}})
        await stage.cluster.patch_job("default", "gone", uid=uid, change={"spec": {"parallelism": 8}})

    on_a_cluster(script)


def test_a_delete_names_the_uid_and_includes_the_pods() -> None:
    async def script(stage: Stage) -> None:
        uid = stage.server.put(build_job())["metadata"]["uid"]
        with pytest.raises(Conflict):
            await stage.cluster.delete_job("default", "run-train-1", uid="older")
        await stage.cluster.delete_job("default", "run-train-1", uid=uid)
        assert stage.server.requests[-1].body["propagationPolicy"] == "Background"
        assert stage.server.requests[-1].body["preconditions"] == {"uid": uid}
        await stage.cluster.delete_job("default", "run-train-1", uid=uid)
        stage.server.put(build_service())
        await stage.cluster.delete_companion("Service", "default", "run-train-1", "another-owner")
        assert stage.server.get("Service", "run-train-1") is not None
        await stage.cluster.delete_companion("Service", "default", "run-train-1", UID)
        await stage.cluster.delete_companion("Service", "default", "run-train-1", UID)
        assert stage.server.objects == {}

    on_a_cluster(script)


def test_a_status_is_replaced_in_one_write_and_cached_at_once() -> None:
    async def script(stage: Stage) -> None:
        stage.server.put({**RUN, "status": {"observedGeneration": 1, "state": "Pending", "restarts": 3}})
        run = await stage.cluster.read("TrainingRun", "default", "read-xsum")
        stage.server.requests.clear()
        written = await stage.cluster.write_status(run, run.status.updated(state=None, restarts=4))
        (request,) = stage.server.requests
        assert (request.method, request.path.rpartition("/")[2]) == ("PUT", "status")
        assert "state" not in (stage.server.get("TrainingRun", "read-xsum") or {})["status"]
        assert written.status.restarts == 4
        assert written.metadata.resource_version != run.metadata.resource_version
        assert await stage.cluster.get("TrainingRun", "default", "read-xsum") == written
        assert [status.restarts for status in stage.statuses] == [4]

    on_a_cluster(script)


def test_a_status_computed_from_an_older_resource_is_a_conflict() -> None:
    async def script(stage: Stage) -> None:
        run = TrainingRun.model_validate(stage.server.put(RUN))
        stage.server.put(RUN)
        with pytest.raises(Conflict):
            await stage.cluster.write_status(run, run.status)
        stage.server.delete("TrainingRun", "read-xsum")
        with pytest.raises(Conflict, match="is gone"):
            await stage.cluster.write_status(run, run.status)
        assert stage.statuses == []

    on_a_cluster(script)


def test_a_status_write_whose_answer_was_lost_is_a_conflict_and_not_written_twice() -> None:
    async def script(stage: Stage) -> None:
        run = TrainingRun.model_validate(stage.server.put(RUN))
        stage.server.faults = [Fault(504, method="PUT", after=True)]
        with pytest.raises(Conflict):
            await stage.cluster.write_status(run, run.status.updated(restarts=1))
        assert (await stage.cluster.read("TrainingRun", "default", "read-xsum")).status.restarts == 1

    on_a_cluster(script)


@pytest.mark.parametrize("status", [403, 422])
def test_only_a_create_can_be_refused(status: int) -> None:
    async def script(stage: Stage) -> None:
        run = TrainingRun.model_validate(stage.server.put(RUN))
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: stage.cluster.write_status(run, run.status),
            lambda: stage.cluster.delete_job("default", "x", uid="u"),
            lambda: stage.cluster.patch_job("default", "x", uid="u", change={"spec": {"parallelism": 1}}),
            lambda: stage.cluster.read("TrainingRun", "default", "read-xsum"),
            lambda: stage.cluster.read_job("default", "x"),
        ]
        for call in calls:
            stage.server.faults = [Fault(status, body={"message": "no right to"})]
            with pytest.raises(ClusterError, match="no right to") as error:
                await call()
            assert not isinstance(error.value, Refused)

    on_a_cluster(script)


def test_children_and_deleted_pods_come_from_the_cache() -> None:
    async def script(stage: Stage) -> None:
        pod = {**build_job("p"), "apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": "n1"}}
        stage.server.put(build_job())
        stage.server.put(pod)
        stage.fill_cache()
        assert [job["metadata"]["name"] for job in await stage.cluster.list_jobs("default", UID)] == ["run-train-1"]
        assert [pod["spec"] for pod in await stage.cluster.list_pods("default", UID)] == [{"nodeName": "n1"}]
        assert await stage.cluster.list_pods("default", "other") == []
        assert await stage.cluster.list_jobs("elsewhere", UID) == []
        stage.cache.remove("Pod", stage.server.delete("Pod", "p"))
        assert await stage.cluster.list_pods("default", UID) == []
        assert [pod["metadata"]["name"] for pod in await stage.cluster.list_deleted_pods("default", UID)] == ["p"]

    on_a_cluster(script)


def test_the_state_of_a_node_is_cached_for_a_few_seconds() -> None:
    async def script(stage: Stage) -> None:
        for name, status in {"good": "True", "bad": "Unknown"}.items():
            conditions = [{"type": "Ready", "status": status}]
            stage.server.put({"kind": "Node", "metadata": {"name": name}, "status": {"conditions": conditions}})
        stage.server.faults = [Fault(403, path="forbidden")]
        answers = {name: await stage.cluster.is_node_ready(name) for name in ("good", "bad", "gone", "forbidden")}
        assert answers == {"good": True, "bad": False, "gone": False, "forbidden": None}
        stage.server.requests.clear()
        assert await stage.cluster.is_node_ready("good") is True
        assert stage.server.requests == []
        stage.time += NODE_SECONDS
        assert await stage.cluster.is_node_ready("good") is True
        assert len(stage.server.requests) == 1

    on_a_cluster(script)


def test_both_kinds_are_read_and_written() -> None:
    async def script(stage: Stage) -> None:
        stage.server.put(a_dataset_generation().to_manifest())
        generation = await stage.cluster.read("DatasetGeneration", "default", "xsum")
        written = await stage.cluster.write_status(generation, generation.status.updated(state="Pending"))
        assert written.status.state == "Pending"

    on_a_cluster(script)


def test_events_are_logged_as_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def script(stage: Stage) -> None:
        run = TrainingRun.model_validate(stage.server.put(RUN))
        await stage.cluster.emit_event(run, "Warning", "AttemptFailed", "attempt 1 Failed: OutOfMemory")
        await stage.cluster.emit_event(run, "Normal", "Suspended", "spec.suspend is true")

    on_a_cluster(script)
    lines = [(record.levelname, record.message) for record in caplog.records]
    assert ("WARNING", "AttemptFailed: attempt 1 Failed: OutOfMemory") in lines
    assert ("INFO", "Suspended: spec.suspend is true") in lines


def test_events_over_the_limit_of_their_resource_are_not_logged_either(caplog: pytest.LogCaptureFixture) -> None:
    """A pod that fails in another way each time must not fill the log."""
    caplog.set_level("INFO", logger="deepsynth_operator")

    async def script(stage: Stage) -> None:
        run = TrainingRun.model_validate(stage.server.put(RUN))
        for number in range(3 * BURST):
            await stage.cluster.emit_event(run, "Warning", "AttemptFailed", f"attempt {number} Failed")

    on_a_cluster(script)
    assert len([record for record in caplog.records if "AttemptFailed" in record.message]) == BURST


def test_a_kept_child_is_looked_at_now_and_then_and_applied_again_only_if_it_is_gone() -> None:
    labels = {MANAGED_BY: OPERATOR_NAME, OWNER_UID: UID}
    metadata = {"name": "run", "namespace": "default", "labels": labels}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": {}}

    async def script(stage: Stage) -> None:
        async def look() -> list[str]:
            stage.server.requests = []
            for _ in range(3):
                await stage.cluster.keep("NetworkPolicy", "default", "run", lambda: policy)
            return [seen.method for seen in stage.server.requests]

        stage.server.put(policy)
        assert await look() == []
        stage.time += KEEP_SECONDS
        assert await look() == ["GET"]
        stage.server.delete("NetworkPolicy", "run")
        assert await look() == []
        stage.time += KEEP_SECONDS
        assert await look() == ["GET", "POST"]
        assert stage.server.get("NetworkPolicy", "run") is not None

    on_a_cluster(script)


def test_a_missing_kind_is_not_a_refusal() -> None:
    async def script(stage: Stage) -> None:
        answer = {"reason": "NotFound", "message": "the server could not find the requested resource"}
        stage.server.faults = [Fault(404, method="POST", body=answer)]
        group = {**build_job(), "apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "PodGroup"}
        with pytest.raises(KindMissing, match="install the CRD"):
            await stage.cluster.create(group)

    on_a_cluster(script)
