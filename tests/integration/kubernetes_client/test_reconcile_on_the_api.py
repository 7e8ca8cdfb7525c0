"""The reconcile through the real client: what it creates, which rights it needs, and what it leaves alone."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from deepsynth_api.kinds import ResourceKind
from deepsynth_api.labels import MANAGED_BY, OPERATOR_NAME, OWNER_KIND, OWNER_UID, QUEUE_NAME
from deepsynth_api.report import PlanReport, PublishReport, RenderReport, Report
from deepsynth_api.v1alpha1.dataset_generation_status import PlannedSplit
from deepsynth_operator.controller.reconcile import reconcile
from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, JOB_NAME_LABEL, Manifest
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.kubernetes.api.api_paths import RESOURCES
from deepsynth_operator.kubernetes.api.permissions import CLUSTER_RULES, POLICY_RULES, RULES, Rule
from integration.kubernetes_client.cluster_on_fake_api import Stage, a_cluster
from support.cluster.fake_api_server import Fault, Seen
from support.control.seen import a_report
from support.resources.builders import a_dataset_generation, a_training_run

NOW: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_VERBS: Final = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Life:
    """A stage, and a controller whose clock a test moves."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.now, self.settings = stage, NOW, Settings()

    async def reconcile(self, kind: ResourceKind = "TrainingRun", name: str = "read-xsum") -> None:
        """A few reconciles, as watch events would cause them."""
        for _ in range(3):
            self.stage.fill_cache()
            await reconcile(self.stage.cluster, self.settings, kind, "default", name, now=self.now)
        await self.stage.events.flush()

    def get(self, kind: Any, name: str) -> Manifest:
        found = self.stage.server.get(kind, name)
        assert found is not None, f"there is no {kind} {name}"
        return found

    def finish_job(self, name: str, condition: str = "Complete") -> None:
        self.now += timedelta(minutes=1)
        time = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions = [{"type": condition, "status": "True", "lastTransitionTime": time}]
        status = {"conditions": conditions, "startTime": time}
        self.stage.server.put({**self.get("Job", name), "status": status})
        self.now += timedelta(minutes=1)


def live(script: Callable[[Life], Awaitable[None]]) -> None:
    async def main() -> None:
        async with a_cluster() as stage:
            await script(Life(stage))

    asyncio.run(main())


def find_right(seen: Seen) -> tuple[str, str, str]:
    """Group, resource with subresource, and verb that a request needs."""
    for resource in RESOURCES.values():
        prefix = f"/{'apis' if resource.group else 'api'}/{resource.api_version}/"
        parts = seen.path.removeprefix(prefix).split("/")
        if parts[0] == "namespaces":
            parts = parts[2:]
        if seen.path.startswith(prefix) and parts[0] == resource.plural:
            subresource = f"/{parts[2]}" if len(parts) > 2 else ""
            return resource.group, resource.plural + subresource, _VERBS[seen.method]
    raise AssertionError(seen.path)


def list_rights(*rules: Rule) -> set[tuple[str, str, str]]:
    return {
        (rule.group, resource, verb)
        for rule in (*RULES, *CLUSTER_RULES, *rules)
        for resource in rule.resources
        for verb in rule.verbs
    }


def count_requests(life: Life) -> Counter[str]:
    """Such as `POST jobs`, since the last call."""
    seen, life.stage.server.requests = life.stage.server.requests, []
    return Counter(f"{item.method} {find_right(item)[1]}" for item in seen)


def run_pod(life: Life, job: str, index: int, seconds: int) -> None:
    """A pod of the Job that has started, and this many seconds pass."""
    owner = life.get("Job", job)["metadata"]
    labels = {**owner["labels"], JOB_NAME_LABEL: job}
    started = {"state": {"running": {"startedAt": f"{life.now:%Y-%m-%dT%H:%M:%SZ}"}}}
    life.stage.server.put(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{job}-{index}",
                "namespace": "default",
                "uid": f"{job}-{index}",
                "labels": labels,
                "annotations": {COMPLETION_INDEX_ANNOTATION: str(index)},
            },
            "spec": {"nodeName": "n1"},
            "status": {"phase": "Running", "containerStatuses": [started]},
        }
    )
    life.now += timedelta(seconds=seconds)


def end_pod(life: Life, name: str, report: Report | None = None) -> None:
    message = report.model_dump_json(by_alias=True, exclude_none=True) if report is not None else ""
    ended = {"state": {"terminated": {"exitCode": 0, "reason": "Completed", "message": message}}}
    life.stage.server.put({**life.get("Pod", name), "status": {"phase": "Succeeded", "containerStatuses": [ended]}})


def test_what_a_whole_run_costs() -> None:
    async def script(life: Life) -> None:
        life.stage.server.put(a_training_run().to_manifest())
        await life.reconcile()
        created = count_requests(life)
        assert created == {"PUT trainingruns/status": 1, "POST configmaps": 1, "POST jobs": 1}
        run_pod(life, "read-xsum-train-1", 0, seconds=14)
        await life.reconcile()
        assert not count_requests(life), "nothing new that cannot wait"
        end_pod(life, "read-xsum-train-1-0")
        life.finish_job("read-xsum-train-1")
        await life.reconcile()
        assert life.get("TrainingRun", "read-xsum")["status"]["state"] == "Complete"
        assert count_requests(life) == {"PUT trainingruns/status": 1, "POST events": 1}

    live(script)


def test_what_a_whole_generation_costs() -> None:
    splits = [PlannedSplit(name="train", rows=40)]
    published = PublishReport(uri="pvc://c/x", revision="v1", rows=40, pages=80, bytes=9, manifest_sha256="m")
    reports = {
        "plan": Report(step="plan", time=NOW, plan=PlanReport(revision="r", digest="d", splits=splits, shards=4)),
        "render": Report(step="render", time=NOW, render=RenderReport(shard=0, documents=10, pages=20)),
        "publish": Report(step="publish", time=NOW, publish=published),
    }

    async def script(life: Life) -> None:
        life.stage.server.put(a_dataset_generation().to_manifest())
        for step, report in reports.items():
            await life.reconcile("DatasetGeneration", "xsum")
            shards = 4 if step == "render" else 1
            for index in range(shards):
                run_pod(life, f"xsum-{step}-1", index, seconds=1)
            await life.reconcile("DatasetGeneration", "xsum")
            for index in range(shards):
                end_pod(life, f"xsum-{step}-1-{index}", report)
            life.finish_job(f"xsum-{step}-1")
        await life.reconcile("DatasetGeneration", "xsum")
        assert life.get("DatasetGeneration", "xsum")["status"]["state"] == "Complete"
        requests = count_requests(life)
        assert requests == {
            "PUT datasetgenerations/status": 5,
            "POST events": 4,
            "POST configmaps": 3,
            "POST jobs": 3,
        }

    live(script)


def test_what_a_run_costs_while_it_trains() -> None:
    """A report that changes with each poll is written twice a minute, and nothing is read."""

    async def script(life: Life) -> None:
        life.stage.server.put(a_training_run().to_manifest())
        await life.reconcile()
        run_pod(life, "read-xsum-train-1", 0, seconds=60)
        for step in range(40):
            if step == 8:
                count_requests(life)
            life.stage.reports["read-xsum-train-1-0"] = a_report(step)
            await life.reconcile()
            life.now += timedelta(seconds=15)
        assert count_requests(life) == {"PUT trainingruns/status": 16}, "in eight minutes"

    live(script)


def test_a_run_gets_its_children_and_completes_with_its_job() -> None:
    async def script(life: Life) -> None:
        life.stage.server.put(a_training_run().with_spec(numNodes=2).to_manifest())
        await life.reconcile()
        names = {item["kind"]: item["metadata"]["name"] for item in life.stage.server.objects.values()}
        assert names["Job"] == names["Service"] == names["ConfigMap"] == "read-xsum-train-1"
        assert life.get("TrainingRun", "read-xsum")["status"]["state"] == "Starting"
        life.finish_job("read-xsum-train-1")
        await life.reconcile()
        assert life.get("TrainingRun", "read-xsum")["status"]["state"] == "Complete"
        reasons = [event["reason"] for event in life.stage.server.list_kind("Event")]
        assert reasons == ["Complete"]

    live(script)


def test_every_request_is_covered_by_the_roles_rules() -> None:
    async def script(life: Life) -> None:
        life.stage.server.put(a_training_run().with_spec(ttlSecondsAfterFinished=0).to_manifest())
        life.stage.server.put(a_dataset_generation().named("xsum", uid="another").to_manifest())
        await life.reconcile()
        await life.reconcile("DatasetGeneration", "xsum")
        life.finish_job("read-xsum-train-1", "Failed")
        await life.reconcile()
        life.now += timedelta(minutes=1)
        await life.reconcile()
        run = life.get("TrainingRun", "read-xsum")
        life.stage.server.put({**run, "spec": {**run["spec"], "suspend": True}})
        await life.reconcile()
        needed = {find_right(seen) for seen in life.stage.server.requests}
        assert ("batch", "jobs", "delete") in needed
        assert needed <= list_rights()

    live(script)


def test_a_network_policy_is_applied_with_the_rights_for_policies() -> None:
    async def script(life: Life) -> None:
        life.settings = Settings(report_peers=({"podSelector": {}},))
        life.stage.server.put(a_training_run().to_manifest())
        await life.reconcile()
        assert life.get("NetworkPolicy", "read-xsum-trainingrun")["metadata"]["ownerReferences"]
        life.finish_job("read-xsum-train-1", "Failed")
        await life.reconcile()
        life.now += timedelta(minutes=1)
        await life.reconcile()
        needed = {find_right(seen) for seen in life.stage.server.requests}
        assert {verb for _, plural, verb in needed if plural == "networkpolicies"} == {"get", "create", "patch"}
        assert needed <= list_rights(*POLICY_RULES)

    live(script)


def test_a_queued_generation_needs_no_right_of_its_queue() -> None:
    async def script(life: Life) -> None:
        life.stage.server.put(a_dataset_generation().labelled({QUEUE_NAME: "team"}).to_manifest())
        await life.reconcile("DatasetGeneration", "xsum")
        run_pod(life, "xsum-plan-1", 0, seconds=10)
        await life.reconcile("DatasetGeneration", "xsum")
        assert life.get("Job", "xsum-queue")["status"] == {"active": 4, "ready": 4, "succeeded": 0}
        needed = {find_right(seen) for seen in life.stage.server.requests}
        assert ("batch", "jobs/status", "patch") in needed
        assert needed <= list_rights()
        count_requests(life)
        await life.reconcile("DatasetGeneration", "xsum")
        assert not count_requests(life), "the queue Job is not read while nothing changes"

    live(script)


def test_only_the_status_of_a_users_resource_is_written() -> None:
    async def script(life: Life) -> None:
        before = life.stage.server.put(a_training_run().to_manifest())
        await life.reconcile()
        after = life.get("TrainingRun", "read-xsum")
        assert after["metadata"] | {"resourceVersion": ""} == before["metadata"] | {"resourceVersion": ""}
        assert after["spec"] == before["spec"]

    live(script)


def test_a_users_service_named_like_one_of_our_jobs_is_not_deleted() -> None:
    """A Job with our labels is ours to delete; a Service and a ConfigMap of the same name may not be."""

    async def script(life: Life) -> None:
        server = life.stage.server
        uid = server.put(a_training_run().to_manifest())["metadata"]["uid"]
        labels = {MANAGED_BY: OPERATOR_NAME, OWNER_UID: uid, OWNER_KIND: "TrainingRun"}
        names = {"name": "postgres", "namespace": "default"}
        server.put({"apiVersion": "batch/v1", "kind": "Job", "metadata": {**names, "labels": labels}, "spec": {}})
        for kind in ("Service", "ConfigMap"):
            server.put({"apiVersion": "v1", "kind": kind, "metadata": names})
        await life.reconcile()
        assert server.get("Job", "postgres") is None
        assert server.get("Service", "postgres") is not None
        assert server.get("ConfigMap", "postgres") is not None

    live(script)


def test_deleting_a_job_does_not_delete_a_users_service_of_the_same_name() -> None:
    async def script(life: Life) -> None:
        server = life.stage.server
        server.put(a_dataset_generation().to_manifest())
        server.put({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "xsum-plan-1", "namespace": "default"}})
        await life.reconcile("DatasetGeneration", "xsum")
        generation = life.get("DatasetGeneration", "xsum")
        server.put({**generation, "spec": {**generation["spec"], "suspend": True}})
        await life.reconcile("DatasetGeneration", "xsum")
        assert server.get("Job", "xsum-plan-1") is None
        assert server.get("ConfigMap", "xsum-plan-1") is None
        assert server.get("Service", "xsum-plan-1") is not None

    live(script)


def test_a_refused_child_is_shown_in_the_status() -> None:
    async def script(life: Life) -> None:
        life.stage.server.put(a_training_run().to_manifest())
        life.stage.server.faults = [Fault(403, method="POST", path="/jobs", body={"message": "exceeded quota: gpus"})]
        await life.reconcile()
        (attempt, *_) = life.get("TrainingRun", "read-xsum")["status"]["attempts"]
        assert (attempt["outcome"], attempt["reason"]) == ("Failed", "CreationRefused")
        assert "exceeded quota: gpus" in attempt["message"]

    live(script)


def test_a_namespace_that_is_being_deleted_causes_neither_failures_nor_writes() -> None:
    async def script(life: Life) -> None:
        life.stage.server.put(a_training_run().to_manifest())
        body = {"message": "it is being terminated", "details": {"causes": [{"reason": "NamespaceTerminating"}]}}
        life.stage.server.faults = [Fault(403, method="POST", body=body) for _ in range(50)]
        await life.reconcile()
        await life.reconcile()
        status = life.get("TrainingRun", "read-xsum")["status"]
        assert [attempt.get("outcome") for attempt in status["attempts"]] == [None]
        writes = [seen for seen in life.stage.server.requests if seen.method == "PUT"]
        assert len(writes) == 1

    live(script)
