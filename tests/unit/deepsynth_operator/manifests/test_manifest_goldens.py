"""Whole manifests of typical resources, as files that a reviewer reads."""

from typing import Any, Literal, get_args

import pytest

from deepsynth_api.v1alpha1 import Attempt, DatasetGeneration, TrainingRun
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob
from deepsynth_operator.core.settings import GangApi, Settings
from deepsynth_operator.manifests.gang import join_gang
from deepsynth_operator.manifests.names import build_job_name
from deepsynth_operator.manifests.network_policy import build_network_policy
from deepsynth_operator.manifests.render_job import build_queue_job, build_render_children
from deepsynth_operator.manifests.train_job import build_train_children
from support.golden_files import assert_golden
from support.resources.builders import ResourceBuilder, a_dataset_generation, a_training_run

RenderStep = Literal["plan", "render", "publish"]
DECIDED = "2026-01-02T03:04:05Z"
PINNED = {"name": "pages", "uri": "pvc://data/pages", "revision": "sha256:0123"}
PLAN = {"revision": "py3.11", "digest": "ab" * 32, "splits": [{"name": "train", "rows": 9000}], "shards": 3}


def a_full_run() -> ResourceBuilder[TrainingRun]:
    """Two nodes with eight GPUs each, and everything that reaches a pod."""
    tracking = [
        {"tensorboard": {"uri": "pvc://logs/tensorboard"}},
        {"wandb": {"project": "ocr", "secretRef": {"name": "wandb"}}},
    ]
    template: dict[str, Any] = {
        "labels": {"team": "vision"},
        "annotations": {"karpenter.sh/do-not-disrupt": "false"},
        "nodeSelector": {"gpu": "h200"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "topologySpreadConstraints": [
            {"topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}
        ],
        "schedulerName": "bin-packing",
        "runtimeClassName": "nvidia",
        "resourceClaims": [{"name": "network", "resourceClaimTemplateName": "rdma-nic"}],
        "priorityClassName": "batch",
        "serviceAccountName": "trainer",
        "imagePullSecrets": [{"name": "registry"}],
        "env": [
            {"name": "NCCL_DEBUG", "value": "WARN"},
            {"name": "HF_HOME", "value": "/models"},
            {"name": "PROXY", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "url"}}},
        ],
        "volumes": [
            {
                "name": "models",
                "mountPath": "/models",
                "readOnly": True,
                "subPath": "hub",
                "persistentVolumeClaim": {"claimName": "models"},
            }
        ],
        "runAsUser": 1000,
        "terminationGracePeriodSeconds": 120,
    }
    pinned = [
        {"name": "xsum", "uri": "hf://datasets/acme/xsum-pages", "revision": "c0ffee"},
        {"name": "mlsum-fr", "uri": "pvc://data/mlsum", "revision": "sha256:0123"},
    ]
    return (
        a_training_run()
        .labelled({"kueue.x-k8s.io/queue-name": "research", "mine": "stays"})
        .with_spec(
            model={"uri": "hf://deepseek-community/DeepSeek-OCR-2", "secretRef": {"name": "hub"}},
            datasets=[
                {"name": "xsum", "datasetGenerationRef": {"name": "xsum"}, "secretRef": {"name": "hub"}},
                {"name": "mlsum-fr", "uri": "pvc://data/mlsum", "weight": "0.5"},
            ],
            numNodes=2,
            resourcesPerNode={"limits": {"nvidia.com/gpu": 8, "rdma/hca": 1, "memory": "800Gi"}},
            publish={"uri": "hf://acme/reader", "secretRef": {"name": "hub-write"}},
            tracking=tracking,
            cache={
                "uri": "pvc://inputs",
                "sizeLimit": "200Gi",
                "features": {"uri": "pvc://features/pages", "sizeLimit": "500Gi"},
            },
            template=template,
        )
        .with_status(datasets=pinned)
    )


def an_attempt(run: TrainingRun, number: int = 1) -> Attempt:
    attempt = {"number": number, "startTime": DECIDED, "image": "registry/gpu@sha256:11"}
    return Attempt.model_validate({**attempt, "job": build_job_name(run, "train", number)})


def a_job(generation: DatasetGeneration, step: RenderStep) -> ChildJob:
    job = {"step": step, "number": 1, "startTime": DECIDED, "image": "registry/cpu@sha256:22"}
    return ChildJob.model_validate({**job, "name": build_job_name(generation, step, 1)})


def test_a_minimal_training_run() -> None:
    run = a_training_run().with_status(datasets=[PINNED]).build()
    assert_golden("training_run_minimal", build_train_children(run, an_attempt(run)))


def test_a_training_run_on_two_nodes_with_everything_set() -> None:
    run = a_full_run().build()
    assert_golden("training_run_full", build_train_children(run, an_attempt(run, number=3)))


def test_a_training_run_that_avoids_nodes_next_to_the_rules_of_the_user() -> None:
    terms = [{"matchExpressions": [{"key": "gpu", "operator": "In", "values": ["h100"]}]}, {}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    run = a_training_run().with_template(affinity={"nodeAffinity": required}).with_status(datasets=[PINNED]).build()
    attempt = an_attempt(run, number=2).updated(avoided_nodes=["node-1", "node-2"])
    assert_golden("training_run_avoids_nodes", build_train_children(run, attempt)[-1:])


@pytest.mark.parametrize("api", get_args(GangApi))
def test_a_training_run_whose_pods_start_together(api: GangApi) -> None:
    run = (
        a_training_run()
        .with_spec(numNodes=2, scheduling={"gang": True})
        .with_template(schedulerName="gang-scheduler")
        .with_status(datasets=[PINNED])
        .build()
    )
    job = build_train_children(run, an_attempt(run))[-1]
    assert_golden(f"gang_{api}", join_gang(run, job, Settings(gang_schedulers={"gang-scheduler": api})))


@pytest.mark.parametrize("step", ["plan", "render", "publish"])
def test_a_minimal_dataset_generation(step: RenderStep) -> None:
    builder = a_dataset_generation()
    generation = (builder if step == "plan" else builder.with_status(plan=PLAN)).build()
    assert_golden(f"dataset_generation_{step}", build_render_children(generation, a_job(generation, step)))


def test_a_generation_from_a_preset_to_the_hub_with_limits() -> None:
    generation = (
        a_dataset_generation("cnn.dailymail")
        .without("source")
        .with_spec(
            preset="cnn_dailymail",
            output={"uri": "hf://datasets/acme/pages", "secretRef": {"name": "hub"}},
            maxFailedIndexes=10,
            backoffLimitPerIndex=1,
            parallelism=2,
        )
        .with_template(resources={"requests": {"cpu": "1", "memory": "2Gi"}}, affinity={"nodeAffinity": {}})
        .with_status(plan=PLAN)
        .build()
    )
    assert_golden("dataset_generation_preset_render", build_render_children(generation, a_job(generation, "render")))


def test_a_generation_in_a_queue_has_a_job_without_pods_whose_quota_its_steps_use() -> None:
    labels = {"kueue.x-k8s.io/queue-name": "team"}
    generation = a_dataset_generation().labelled(labels).with_spec(parallelism=8).with_status(plan=PLAN).build()
    queue_job = build_queue_job(generation, "registry/cpu@sha256:22")
    admitted = {**queue_job, "metadata": {**queue_job["metadata"], "uid": "uid-of-xsum-queue"}}
    _, step = build_render_children(generation, a_job(generation, "render"), admitted)
    assert_golden("dataset_generation_queued", [queue_job, step])


def test_the_network_policy_of_a_run() -> None:
    operator = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "deepsynth"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "deepsynth"}},
    }
    assert_golden("network_policy", [build_network_policy(a_full_run().build(), [operator])])
