"""Reads everything that a decision about one resource needs. Decides nothing.

Caches lie: the Job of the newest attempt or step, every Job that the cache shows unfinished, and what a run is about
to pin are read past it.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from deepsynth_api.report import Report
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_operator.cluster import Cluster, Resource
from deepsynth_operator.observed import (
    Children,
    Manifest,
    ObservedGeneration,
    ObservedJob,
    ObservedPod,
    ObservedRun,
    is_owned_by,
)

REPORTS_SECONDS: Final = 10.0
"""For the reports of all pods of a resource together: thousands that do not answer must not hold up the decision.
Those that were not asked in time are asked at the next look, when the silent ones are spared."""
Named = TypeVar("Named", DatasetGeneration, TrainingRun)
_logger = logging.getLogger(__name__)


async def gather_run(cluster: Cluster, run: TrainingRun) -> ObservedRun:
    """A TrainingRun with its children, and what it waits for while nothing is pinned."""
    newest = run.status.attempts[-1].job if run.status.attempts else None
    children = await gather_children(cluster, run, newest)
    if run.status.start_time is not None:
        return ObservedRun(run, children)
    namespace, reference = run.metadata.namespace, run.spec.model.training_run_ref
    names = {item.dataset_generation_ref.name for item in run.spec.datasets if item.dataset_generation_ref}
    found = [await cluster.read("DatasetGeneration", namespace, name) for name in sorted(names)]
    generations = {generation.metadata.name: generation for generation in found if generation is not None}
    model_run = await cluster.read("TrainingRun", namespace, reference.name) if reference else None
    return ObservedRun(run, children, generations, model_run)


async def gather_generation(cluster: Cluster, generation: DatasetGeneration) -> ObservedGeneration:
    """A DatasetGeneration with its children."""
    newest = generation.status.jobs[-1].name if generation.status.jobs else None
    return ObservedGeneration(generation, await gather_children(cluster, generation, newest))


async def gather_children(cluster: Cluster, resource: Resource, newest: str | None) -> Children:
    """Jobs and pods of `resource`; `newest` names the Job that its status says comes last."""
    namespace, uid = resource.metadata.namespace, resource.metadata.uid
    cached = [ObservedJob.parse(job) for job in await cluster.list_jobs(namespace, uid)]
    doubtful = {job.name for job in cached if not job.is_finished} | ({newest} if newest else set())
    read = await asyncio.gather(*(_read_job(cluster, resource, name) for name in sorted(doubtful)))
    jobs = [*(job for job in cached if job.name not in doubtful), *(job for job in read if job is not None)]
    seen = await _observe_pods(cluster, await cluster.list_pods(namespace, uid))
    gone = [ObservedPod.parse(pod, gone=True) for pod in await cluster.list_deleted_pods(namespace, uid)]
    return Children(jobs=tuple(jobs), pods=tuple(_merge(seen, gone)))


async def _read_job(cluster: Cluster, resource: Resource, name: str) -> ObservedJob | None:
    job = await cluster.read_job(resource.metadata.namespace, name)
    return ObservedJob.parse(job) if job is not None and is_owned_by(job, resource.metadata.uid) else None


async def _observe_pods(cluster: Cluster, manifests: Iterable[Manifest]) -> list[ObservedPod]:
    """Pods with their live reports while they run, and with their nodes' states while they terminate."""
    by_uid = {manifest["metadata"]["uid"]: manifest for manifest in manifests}
    pods = [ObservedPod.parse(manifest) for manifest in by_uid.values()]
    reports = await _read_reports(cluster, {pod.uid: by_uid[pod.uid] for pod in pods if pod.is_at_work})
    return [await _observe_node(cluster, replace(pod, report=reports.get(pod.uid, pod.report))) for pod in pods]


async def _read_reports(cluster: Cluster, pods: Mapping[str, Manifest]) -> dict[str, Report]:
    """What those of the pods that answer in time have to say; both by uid."""
    reports: dict[str, Report] = {}

    async def read(uid: str, pod: Manifest) -> None:
        if (report := await cluster.read_report(pod)) is not None:
            reports[uid] = report

    try:
        async with asyncio.timeout(REPORTS_SECONDS):
            await asyncio.gather(*(read(uid, pod) for uid, pod in pods.items()))
    except TimeoutError:
        _logger.warning("%d of %d pods told their progress within %.0f s", len(reports), len(pods), REPORTS_SECONDS)
    return reports


async def _observe_node(cluster: Cluster, pod: ObservedPod) -> ObservedPod:
    if pod.is_final or pod.deletion is None or pod.node is None:
        return pod
    return replace(pod, node_ready=await cluster.is_node_ready(pod.node))


def _merge(seen: Iterable[ObservedPod], gone: Iterable[ObservedPod]) -> list[ObservedPod]:
    """A deleted pod's last body beats what the cache may still show of it."""
    return list({pod.uid: pod for pod in [*seen, *gone]}.values())
