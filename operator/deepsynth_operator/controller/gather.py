"""Reads everything that a decision about one resource needs. It decides nothing.

    from the cache                      Jobs, pods, deleted pods and, for a run that has not started, what it refers to
    from the API server                 the newest Jobs in the status if the cache lacks them, and Jobs that should
                                        have ended, unless the resource is finished
      and, to confirm a decision        the live Jobs unless it is finished, and what the run refers to
    from the API server, of a Job       why its queue holds it
    that is suspended
    from the running pods               their reports
    from the API server, only if a      whether its node is Ready
    pod does not terminate

The cache may be behind. That does no harm while a decision only shows what it sees. Before an attempt ends, a Job is
created or deleted, or inputs are pinned, `reconcile` gathers again to confirm: then what the cache cannot prove comes
from the API server. A finished Job needs no confirmation, because it never changes.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from deepsynth_api.kinds import ResourceKind
from deepsynth_api.labels import QUEUE_NAME
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
from deepsynth_operator.core.queue_wait import QueueWait
from deepsynth_operator.decisions.dataset_generation import jobs
from deepsynth_operator.decisions.shared.conditions import is_finished
from deepsynth_operator.decisions.shared.pods import is_overdue
from deepsynth_operator.decisions.training_run import attempts
from deepsynth_operator.manifests.names import build_queue_job_name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gathered(Generic[T]):
    """What was found. is_confirmed: whether all of it that could change a decision is from the API server."""

    found: T
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class NewestJob:
    """One of the newest Jobs in a status: that of a plan may have one next to it that renders ahead.

    is_live: whether its end is not in the status yet.
    """

    name: str
    is_live: bool


async def gather_run(cluster: Cluster, run: TrainingRun, now: datetime, *, confirm: bool) -> Gathered[ObservedRun]:
    """A TrainingRun with its children and, until it has started, the resources that it refers to."""
    last = attempts.get_last(run.status)
    newest = [NewestJob(last.job, attempts.get_live(run.status) is not None)] if last else []
    children = await gather_children(cluster, run, newest, now, confirm=confirm)
    if run.status.start_time is not None:
        return Gathered(ObservedRun(run, children.found), children.is_confirmed)
    reference = run.spec.model.training_run_ref
    names = {item.dataset_generation_ref.name for item in run.spec.datasets if item.dataset_generation_ref}
    found = [await _find(cluster, run, "DatasetGeneration", name, confirm=confirm) for name in sorted(names)]
    generations = {generation.metadata.name: generation for generation in found if generation is not None}
    model_run = await _find(cluster, run, "TrainingRun", reference.name, confirm=confirm) if reference else None
    is_confirmed = children.is_confirmed and (confirm or not (names or reference))
    return Gathered(ObservedRun(run, children.found, generations, model_run), is_confirmed)


async def gather_generation(
    cluster: Cluster, generation: DatasetGeneration, now: datetime, *, confirm: bool
) -> Gathered[ObservedGeneration]:
    """A DatasetGeneration with its children."""
    status = generation.status
    newest = [NewestJob(job.name, job.outcome is None) for job in jobs.list_live(status) or status.jobs[-1:]]
    queue_job = build_queue_job_name(generation)
    children = await gather_children(cluster, generation, newest, now, confirm=confirm, queue_job=queue_job)
    return Gathered(ObservedGeneration(generation, children.found), children.is_confirmed)


async def gather_children(
    cluster: Cluster,
    resource: Resource,
    newest: Sequence[NewestJob],
    now: datetime,
    *,
    confirm: bool,
    queue_job: str | None = None,
) -> Gathered[Children]:
    """Jobs and pods of `resource`. queue_job: name of the Job by which it is in a queue, if it is."""
    namespace, uid = resource.metadata.namespace, resource.metadata.uid
    cached = {job.name: job for job in map(ObservedJob.parse, await cluster.list_jobs(namespace, uid))}
    uncertain = {job.name for job in cached.values() if not job.is_finished}
    if not is_finished(resource.status.conditions):
        uncertain |= {job.name for job in newest} - cached.keys()
    unread = set()
    if not confirm:
        current = {job.name for job in newest if job.is_live} & cached.keys()
        unread = uncertain & {*current, queue_job}
    elif queue_job is not None and (QUEUE_NAME in resource.metadata.labels or _uses(queue_job, cached.values())):
        uncertain.add(queue_job)
    names = sorted(uncertain - unread)
    read = await asyncio.gather(*(_read_job(cluster, resource, name) for name in names))
    known = [*(job for job in cached.values() if job.name not in names), *(job for job in read if job is not None)]
    known = [await _explain_wait(cluster, resource, job) for job in known]
    seen = await _observe_pods(cluster, await cluster.list_pods(namespace, uid), now)
    gone = [ObservedPod.parse(pod, gone=True) for pod in await cluster.list_deleted_pods(namespace, uid)]
    return Gathered(Children(jobs=tuple(known), pods=tuple(_merge(seen, gone))), not unread)


def _uses(queue_job: str, jobs: Iterable[ObservedJob]) -> bool:
    return any(job.queue_job == queue_job and not job.is_finished for job in jobs)


async def _find(cluster: Cluster, run: TrainingRun, kind: ResourceKind, name: str, *, confirm: bool) -> Any:
    """Another resource in the run's namespace."""
    return await (cluster.read if confirm else cluster.get)(kind, run.metadata.namespace, name)


async def _read_job(cluster: Cluster, resource: Resource, name: str) -> ObservedJob | None:
    job = await cluster.read_job(resource.metadata.namespace, name)
    return ObservedJob.parse(job) if job is not None and is_owned_by(job, resource.metadata.uid) else None


async def _explain_wait(cluster: Cluster, resource: Resource, job: ObservedJob) -> ObservedJob:
    """`job` with why its queue holds it, if it does."""
    if not job.suspended or not job.is_queued or job.is_held or job.is_finished:
        return job
    workload = await cluster.read_workload(resource.metadata.namespace, job.uid)
    return replace(job, wait=QueueWait.parse(workload))


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
