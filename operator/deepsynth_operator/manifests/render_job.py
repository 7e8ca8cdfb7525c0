"""The Jobs of a DatasetGeneration: plan (one pod), render (one pod per shard), publish (one pod); and its queue Job.

All three are Indexed Jobs with retries per index, so that the same policy applies to each: a disruption does not count,
bad configuration and bad data are not retried, any other failure is retried backoffLimitPerIndex times.

The queue Job has no pods. A queue admits it once for all steps: see decisions/dataset_generation/queue_job.py.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.kinds import GROUP
from deepsynth_api.labels import QUEUE_JOB_ANNOTATION, select_carried
from deepsynth_api.presets import resolve_source
from deepsynth_api.v1alpha1 import DatasetGeneration, Source
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob, PlanStatus, RenderAhead
from deepsynth_api.workload import RENDER_AHEAD_VARIABLE, PlanReference, RenderWorkload
from deepsynth_operator.core.observed import JOB_NAME_LABEL, Manifest
from deepsynth_operator.manifests.child import add_deadline, build_config_map, build_metadata
from deepsynth_operator.manifests.environment import build_environment, build_secret_sources
from deepsynth_operator.manifests.names import build_queue_job_name
from deepsynth_operator.manifests.pod import Container, build_pod_template
from deepsynth_operator.manifests.volumes import (
    Location,
    build_claim_volumes,
    build_document_volume,
    build_scratch_volumes,
)

DEFAULT_GRACE_SECONDS: Final = 60
MAX_SHARDS: Final = 100_000
"""Upper limit of an Indexed Job's completions."""
QUEUE_JOB_MANAGER: Final = f"{GROUP}/operator"
"""spec.managedBy of a queue Job: the Job controller of Kubernetes leaves such a Job alone."""
_PLACE: Final = ("nodeSelector", "tolerations", "schedulingGates")
"""What a queue sets in the pods that it admits, next to labels and annotations."""
_OF_THE_QUEUE_JOB: Final = frozenset(
    {JOB_NAME_LABEL, "batch.kubernetes.io/controller-uid", "job-name", "controller-uid"}
)
"""Labels that the API server gives the pods of the queue Job itself."""


def build_render_children(
    generation: DatasetGeneration, job: ChildJob, queue_job: Manifest | None = None, ahead: RenderAhead | None = None
) -> list[dict[str, Any]]:
    """ConfigMap and Job of a step. Render and publish need status.plan, or `ahead`. Raises ConfigurationError.

    queue_job: the admitted Job whose quota the pods use. ahead: set if the Job renders while the plan step still reads,
    whose pod is then one of spec.parallelism.
    """
    room = generation.spec.parallelism if queue_job is None else _count_room(generation, queue_job)
    manifest = build_render_job(generation, job, room if ahead is None else room - 1)
    return [
        build_config_map(generation, job.step, job.name, build_render_document(generation, job, ahead)),
        manifest if queue_job is None else _use_quota(manifest, queue_job),
    ]


def _count_room(generation: DatasetGeneration, queue_job: Manifest) -> int:
    """How many pods there may be within the quota of the admitted queue Job."""
    quota: int = queue_job["spec"]["parallelism"] - queue_job.get("status", {}).get("succeeded", 0)
    return min(generation.spec.parallelism, max(quota, 1))


def build_queue_job(generation: DatasetGeneration, image: str) -> dict[str, Any]:
    """A Job without pods, which asks its queue for the quota of `parallelism` pods."""
    name, template = build_queue_job_name(generation), generation.spec.template
    container = Container(
        name="queue",
        image=image,
        module=["deepsynth_render"],
        env=[],
        secrets=[],
        volumes=[],
        grace_seconds=template.termination_grace_period_seconds or DEFAULT_GRACE_SECONDS,
        resources=template.resources,
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": build_metadata(generation, "queue", name),
        "spec": {
            "managedBy": QUEUE_JOB_MANAGER,
            "parallelism": generation.spec.parallelism,
            "template": build_pod_template(generation, "queue", name, container),
        },
    }


def _use_quota(job: Manifest, queue_job: Manifest) -> dict[str, Any]:
    """`job` as a part of what the queue has admitted: Kueue stops it together with its owner, and places its pods."""
    metadata, placed = job["metadata"], queue_job["spec"]["template"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "controller": True}
    owner |= {key: queue_job["metadata"][key] for key in ("name", "uid")}
    annotations = _drop(metadata["annotations"], select_carried(metadata["annotations"]))
    template = job["spec"]["template"]
    pods = {
        kind: {**_drop(placed["metadata"].get(kind, {}), _OF_THE_QUEUE_JOB), **template["metadata"][kind]}
        for kind in ("labels", "annotations")
    }
    place = {key: placed["spec"][key] for key in _PLACE if key in placed["spec"]}
    return {
        **job,
        "metadata": {
            **metadata,
            "labels": _drop(metadata["labels"], select_carried(metadata["labels"])),
            "annotations": {**annotations, QUEUE_JOB_ANNOTATION: owner["name"]},
            "ownerReferences": [owner, *({**other, "controller": False} for other in metadata["ownerReferences"])],
        },
        "spec": {**job["spec"], "template": {"metadata": pods, "spec": {**template["spec"], **place}}},
    }


def _drop(items: Mapping[str, str], keys: Collection[str]) -> dict[str, str]:
    return {key: value for key, value in items.items() if key not in keys}


def build_render_job(generation: DatasetGeneration, job: ChildJob, room: int) -> dict[str, Any]:
    """room: how many pods the Job may have at the same time."""
    spec, completions = generation.spec, _count_completions(generation, job)
    limit = spec.max_failed_indexes if job.step == "render" else None
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": build_metadata(generation, job.step, job.name),
        "spec": {
            "completionMode": "Indexed",
            "completions": completions,
            "parallelism": min(room, completions),
            "backoffLimitPerIndex": spec.backoff_limit_per_index,
            **({} if limit is None else {"maxFailedIndexes": min(limit, completions)}),
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [int(ExitCode.STOPPED)]}},
                    {
                        "action": "FailIndex",
                        "onExitCodes": {
                            "operator": "In",
                            "values": [int(ExitCode.BAD_CONFIGURATION), int(ExitCode.BAD_DATA)],
                        },
                    },
                ]
            },
            "template": build_pod_template(generation, job.step, job.name, _build_container(generation, job)),
        },
    }
    return add_deadline(manifest, generation, job.start_time)


def build_render_document(
    generation: DatasetGeneration, job: ChildJob, ahead: RenderAhead | None = None
) -> RenderWorkload:
    """The document that the pods of a step read. For the plan step it holds no plan.

    ahead: what is known of the plan while it is being made, if the Job renders meanwhile.
    """
    spec = generation.spec
    source = _resolve_source(generation)
    return RenderWorkload(
        name=generation.metadata.name,
        namespace=generation.metadata.namespace,
        uid=generation.metadata.uid,
        filters=spec.filters,
        page=spec.page,
        fonts=spec.fonts,
        output=spec.output,
        rows_per_shard=spec.rows_per_shard,
        max_refused_percent=spec.max_refused_percent,
        source=source,
        source_name=spec.preset or _name_source(source),
        plan=_refer_to_plan(generation.status.plan, job, ahead),
    )


def _refer_to_plan(plan: PlanStatus | None, job: ChildJob, ahead: RenderAhead | None) -> PlanReference | None:
    first = job.first_shard or None
    if ahead is not None:
        shards = job.first_shard + (job.shards or 0)
        return PlanReference(
            digest="", revision=ahead.revision, shards=shards, staging=ahead.staging, first_shard=first
        )
    if plan is None or job.step == "plan":
        return None
    return PlanReference(
        digest=plan.digest,
        revision=plan.revision,
        shards=plan.shards,
        staging=plan.staging or None,
        first_shard=first,
    )


def _count_completions(generation: DatasetGeneration, job: ChildJob) -> int:
    if job.step != "render":
        return 1
    plan = generation.status.plan
    shards = plan.shards if plan is not None else job.first_shard + (job.shards or 0)
    if shards > MAX_SHARDS:
        raise ConfigurationError(
            f"spec.rowsPerShard: must give at most {MAX_SHARDS} shards, got {shards}; "
            f"set it above {generation.spec.rows_per_shard * shards // MAX_SHARDS}"
        )
    return shards if job.shards is None else job.shards


def _resolve_source(generation: DatasetGeneration) -> Source:
    try:
        return resolve_source(generation.spec.preset, generation.spec.source)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _name_source(source: Source) -> str:
    """Name of the source in the dataset's rows.

    hf://datasets/acme/texts -> acme/texts, pvc://data/raw/letters.jsonl -> letters.jsonl, docstrings:// -> docstrings
    """
    scheme, _, path = source.uri.partition("://")
    if scheme == "hf" and not path.startswith("buckets/"):
        return path.removeprefix("datasets/")
    return path.rstrip("/").rpartition("/")[2] or scheme


def _build_container(generation: DatasetGeneration, job: ChildJob) -> Container:
    spec, source = generation.spec, _resolve_source(generation)
    grace = spec.template.termination_grace_period_seconds or DEFAULT_GRACE_SECONDS
    own = {RENDER_AHEAD_VARIABLE: "1" if spec.parallelism > 1 else "0"} if job.step == "plan" else {}
    locations = [
        Location("spec.source.uri", source.uri),
        *(Location(f"spec.fonts[{number}].uri", font.uri) for number, font in enumerate(spec.fonts)),
        Location("spec.output.uri", spec.output.uri, is_written=True),
    ]
    return Container(
        name=job.step,
        image=job.image,
        module=["deepsynth_render", job.step],
        env=build_environment(spec.template.env, grace, own),
        secrets=build_secret_sources([source.secret_ref, spec.output.secret_ref]),
        volumes=[build_document_volume(job.name), *build_scratch_volumes(), *build_claim_volumes(locations)],
        grace_seconds=grace,
        resources=spec.template.resources,
    )
