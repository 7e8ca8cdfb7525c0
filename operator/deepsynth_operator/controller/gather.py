"""Reads everything that a decision about one resource needs. It decides nothing.

    from the cache                      finished Jobs, pods, deleted pods
    from the API server                 unfinished Jobs, the newest Job in the status unless the resource is finished,
                                        and, for a run that has not started, the resources that it refers to
    from the running pods               their reports
    from the API server, only if a      whether its node is Ready
    pod does not terminate

The cache may be behind. Where that would lead to a wrong decision (an attempt counted as deleted, the wrong revision
pinned), the API server is asked instead.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from deepsynth_api.v1alpha1 import DatasetGeneration, Resource, TrainingRun
from deepsynth_operator.core.cluster import Cluster
from deepsynth_operator.core.observed import (
    Children,
    Manifest,
    ObservedGeneration,
    ObservedJob,
    ObservedPod,
    ObservedRun,
    is_owned_by,
)
from deepsynth_operator.decisions.shared.conditions import is_finished
from deepsynth_operator.decisions.shared.pods import is_overdue


async def gather_run(cluster: Cluster, run: TrainingRun, now: datetime) -> ObservedRun:
    """A TrainingRun with its children and, until it has started, the resources that it refers to."""
    newest = run.status.attempts[-1].job if run.status.attempts else None
    children = await gather_children(cluster, run, newest, now)
    if run.status.start_time is not None:
        return ObservedRun(run, children)
    namespace, reference = run.metadata.namespace, run.spec.model.training_run_ref
    names = {item.dataset_generation_ref.name for item in run.spec.datasets if item.dataset_generation_ref}
    found = [await cluster.read("DatasetGeneration", namespace, name) for name in sorted(names)]
    generations = {generation.metadata.name: generation for generation in found if generation is not None}
    model_run = await cluster.read("TrainingRun", namespace, reference.name) if reference else None
    return ObservedRun(run, children, generations, model_run)


async def gather_generation(cluster: Cluster, generation: DatasetGeneration, now: datetime) -> ObservedGeneration:
    """A DatasetGeneration with its children."""
    newest = generation.status.jobs[-1].name if generation.status.jobs else None
    return ObservedGeneration(generation, await gather_children(cluster, generation, newest, now))


async def gather_children(cluster: Cluster, resource: Resource, newest: str | None, now: datetime) -> Children:
    """Jobs and pods of `resource`. newest: name of the newest Job in its status."""
    namespace, uid = resource.metadata.namespace, resource.metadata.uid
    cached = [ObservedJob.parse(job) for job in await cluster.list_jobs(namespace, uid)]
    uncertain = {job.name for job in cached if not job.is_finished}
    if newest and not is_finished(resource.status.conditions):
        uncertain.add(newest)
    read = await asyncio.gather(*(_read_job(cluster, resource, name) for name in sorted(uncertain)))
    jobs = [*(job for job in cached if job.name not in uncertain), *(job for job in read if job is not None)]
    seen = await _observe_pods(cluster, await cluster.list_pods(namespace, uid), now)
    gone = [ObservedPod.parse(pod, gone=True) for pod in await cluster.list_deleted_pods(namespace, uid)]
    return Children(jobs=tuple(jobs), pods=tuple(_merge(seen, gone)))


async def _read_job(cluster: Cluster, resource: Resource, name: str) -> ObservedJob | None:
    job = await cluster.read_job(resource.metadata.namespace, name)
    return ObservedJob.parse(job) if job is not None and is_owned_by(job, resource.metadata.uid) else None


async def _observe_pods(cluster: Cluster, manifests: Iterable[Manifest], now: datetime) -> list[ObservedPod]:
    """Pods with the reports of those that run, and the node states of those that do not terminate."""
    by_uid = {manifest["metadata"]["uid"]: manifest for manifest in manifests}
    pods = [ObservedPod.parse(manifest) for manifest in by_uid.values()]
    reports = await cluster.read_reports([by_uid[pod.uid] for pod in pods if pod.is_at_work])
    nodes = sorted({pod.node for pod in pods if pod.node and is_overdue(pod, now)})
    ready = dict(zip(nodes, await asyncio.gather(*(cluster.is_node_ready(node) for node in nodes)), strict=True))
    return [replace(pod, report=reports.get(pod.uid, pod.report), node_ready=ready.get(pod.node or "")) for pod in pods]


def _merge(seen: Iterable[ObservedPod], gone: Iterable[ObservedPod]) -> list[ObservedPod]:
    """Each pod once. The last state of a deleted pod takes precedence over what the cache still shows."""
    return list({pod.uid: pod for pod in [*seen, *gone]}.values())
