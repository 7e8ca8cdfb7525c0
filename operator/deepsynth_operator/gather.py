"""Reads everything that a decision about one resource needs. Decides nothing.

Caches lie: the Job of the newest attempt or step, every Job that the cache shows unfinished, and what a run is about
to pin are read past it.
"""

import asyncio
from collections.abc import Iterable
from typing import TypeVar

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

Named = TypeVar("Named", DatasetGeneration, TrainingRun)


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
    seen = await asyncio.gather(*(_observe_pod(cluster, pod) for pod in await cluster.list_pods(namespace, uid)))
    gone = [ObservedPod.parse(pod, gone=True) for pod in await cluster.list_deleted_pods(namespace, uid)]
    return Children(jobs=tuple(jobs), pods=tuple(_merge(seen, gone)))


async def _read_job(cluster: Cluster, resource: Resource, name: str) -> ObservedJob | None:
    job = await cluster.read_job(resource.metadata.namespace, name)
    return ObservedJob.parse(job) if job is not None and is_owned_by(job, resource.metadata.uid) else None


async def _observe_pod(cluster: Cluster, manifest: Manifest) -> ObservedPod:
    """The pod with its live report while it runs, and with its node's state while it terminates."""
    pod = ObservedPod.parse(manifest)
    if pod.is_final:
        return pod
    ready = await cluster.is_node_ready(pod.node) if pod.deletion is not None and pod.node else None
    live = await cluster.read_report(manifest) if pod.started is not None and not pod.has_ended else None
    return ObservedPod.parse(manifest, live=live, node_ready=ready)


def _merge(seen: Iterable[ObservedPod], gone: Iterable[ObservedPod]) -> list[ObservedPod]:
    """A deleted pod's last body beats what the cache may still show of it."""
    return list({pod.uid: pod for pod in [*seen, *gone]}.values())
