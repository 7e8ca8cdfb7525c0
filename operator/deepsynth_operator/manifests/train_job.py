"""One attempt of a TrainingRun: an Indexed Job with one pod per node. All pods start together and end together."""

from typing import Any, Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.exit_codes import PERMANENT
from deepsynth_api.labels import ATTEMPT, EQUAL_COMPLETIONS, MIN_PARALLELISM, QUEUE_NAME, build_labels
from deepsynth_api.v1alpha1 import Attempt, ModelSettings, SecretReference, TrainingRun, TrainingSettings
from deepsynth_api.v1alpha1.settings.training_settings import DatasetSplits
from deepsynth_api.v1alpha1.shared.base import Quantity
from deepsynth_api.workload import (
    CACHE_PATH,
    CACHE_VARIABLE,
    JOB_UID_VARIABLE,
    MASTER_ADDRESS_VARIABLE,
    MAX_RESTARTS_VARIABLE,
    RENDEZVOUS_PORT,
    FeatureCache,
    InputCache,
    TrainWorkload,
    WorkloadDataset,
    compute_fingerprint,
)
from deepsynth_operator.core.observed import JOB_NAME_LABEL, JOB_UID_LABEL
from deepsynth_operator.core.quantity import parse_quantity
from deepsynth_operator.manifests.child import add_deadline, build_config_map, build_metadata
from deepsynth_operator.manifests.environment import build_environment, build_secret_sources
from deepsynth_operator.manifests.pod import Container, avoid_nodes, build_pod_template
from deepsynth_operator.manifests.volumes import (
    Location,
    build_cache_volume,
    build_claim_volumes,
    build_document_volume,
    build_scratch_volumes,
)

GPU: Final = "nvidia.com/gpu"
DEFAULT_GRACE_SECONDS: Final = 300
MAX_RESTARTS_IN_PLACE: Final = 5
"""In the pods of one Job. New pods now and then are a remedy too, and a termination message holds few of them."""

_DISRUPTED: Final = {"onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
_PERMANENT: Final = {"onExitCodes": {"operator": "In", "values": [int(code) for code in PERMANENT]}}
_ENDED: Final[dict[str, Any]] = {
    # Pods of an attempt are never replaced one by one: a retry is a new Job.
    "backoffLimit": 0,
    # No catch-all rule: the pods of a suspended Job exit non-zero too.
    "podFailurePolicy": {"rules": [{"action": "FailJob", **_DISRUPTED}, {"action": "FailJob", **_PERMANENT}]},
}
"""How a Job ends with its first pod."""
_RESTARTED: Final[dict[str, Any]] = {
    "backoffLimitPerIndex": 1000,
    "podFailurePolicy": {"rules": [{"action": "Ignore", **_DISRUPTED}, {"action": "FailJob", **_PERMANENT}]},
}
"""How a Job in a queue survives its first pod: a Job that fails gives its quota to the next in the queue.

The controller ends the attempt and restarts all pods together: it suspends the Job, and the queue resumes it."""


def build_train_children(run: TrainingRun, attempt: Attempt) -> list[dict[str, Any]]:
    """ConfigMap, Service and Job of `attempt`. A single pod needs no Service: it meets nobody.

    A Job that its queue may admit with fewer pods gets its ConfigMap later: see `build_late_document`. The run's status
    must already hold the attempt and the pinned datasets and model. Raises ConfigurationError.
    """
    document = build_config_map(run, "train", attempt.job, build_train_document(run, attempt))
    return [
        *([] if may_be_smaller(run, attempt) else [document]),
        *([build_service(run, attempt.job)] if count_nodes(run, attempt) > 1 else []),
        build_train_job(run, attempt),
    ]


def may_be_smaller(run: TrainingRun, attempt: Attempt) -> bool:
    """Whether the queue may admit the Job of `attempt` with fewer pods."""
    elastic, is_queued = run.spec.elastic, QUEUE_NAME in build_labels(run, "train")
    return elastic is not None and is_queued and elastic.min_nodes < count_nodes(run, attempt)


def build_late_document(run: TrainingRun) -> dict[str, Any]:
    """The ConfigMap of the last attempt, once its queue has admitted the Job and the number of pods is known."""
    attempt = run.status.attempts[-1]
    return build_config_map(run, "train", attempt.job, build_train_document(run, attempt), is_immutable=False)


def build_service(run: TrainingRun, job: str) -> dict[str, Any]:
    """The headless Service that gives the attempt's pods their DNS names, `<job>-<rank>.<job>`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": build_metadata(run, "train", job),
        "spec": {
            "clusterIP": "None",
            # Ranks must find each other before any of them can become ready.
            "publishNotReadyAddresses": True,
            "selector": {JOB_NAME_LABEL: job},
            "ports": [{"name": "rendezvous", "port": RENDEZVOUS_PORT}],
        },
    }


def build_train_job(run: TrainingRun, attempt: Attempt) -> dict[str, Any]:
    metadata = build_metadata(run, "train", attempt.job)
    template = build_pod_template(run, "train", attempt.job, _build_container(run, attempt), subdomain=attempt.job)
    is_queued = QUEUE_NAME in metadata["labels"]
    elastic = run.spec.elastic
    partial = (
        {MIN_PARALLELISM: str(elastic.min_nodes), EQUAL_COMPLETIONS: "true"}
        if elastic is not None and may_be_smaller(run, attempt)
        else {}
    )
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            **metadata,
            "labels": {**metadata["labels"], ATTEMPT: str(attempt.number)},
            "annotations": {**metadata["annotations"], **partial},
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": count_nodes(run, attempt),
            "parallelism": count_nodes(run, attempt),
            "podReplacementPolicy": "Failed",
            **(_RESTARTED if is_queued else _ENDED),
            # A queue that finds no room outside these nodes would hold the Job forever.
            "template": avoid_nodes(template, attempt.avoided_nodes or [], if_possible=is_queued),
        },
    }
    return add_deadline(job, run, attempt.start_time)


def build_train_document(run: TrainingRun, attempt: Attempt) -> TrainWorkload:
    """The document that the pods of `attempt` read: the spec with every reference resolved."""
    spec, datasets = run.spec, _resolve_datasets(run)
    settings = {name: getattr(spec, name) for name in TrainingSettings.model_fields} | {"model": _resolve_model(run)}
    return TrainWorkload(
        **settings,
        name=run.metadata.name,
        namespace=run.metadata.namespace,
        uid=run.metadata.uid,
        datasets=datasets,
        num_nodes=count_nodes(run, attempt),
        num_proc_per_node=spec.num_proc_per_node or count_gpus_per_node(run) or 1,
        min_nodes=spec.elastic.min_nodes if spec.elastic else None,
        attempt=attempt.number,
        fingerprint=_compute_fingerprint(run, settings, datasets),
        output_uri=build_output_uri(run),
        needs_checkpoint=True if run.status.continued_time is not None and run.status.saved_step else None,
        cache_bytes=_parse_bytes(run.spec.cache.size_limit, "spec.cache.sizeLimit"),
        input_cache=_resolve_input_cache(run),
        stream=run.spec.cache.stream or None,
        feature_cache=_resolve_feature_cache(run),
    )


def _compute_fingerprint(run: TrainingRun, settings: dict[str, Any], datasets: list[WorkloadDataset]) -> str:
    """Fingerprint of the training, the same for all attempts of a run.

    A branch is hashed by its name, not by the commit that the trainer resolved it to: otherwise the second attempt
    would refuse the checkpoints of the first. The commit itself is stored next to the checkpoints.
    """
    if run.spec.model.training_run_ref is None:
        settings = settings | {"model": _build_model(run, run.spec.model.uri, run.spec.model.revision)}
    as_written = [
        dataset if written.dataset_generation_ref else dataset.updated(revision=written.revision)
        for dataset, written in zip(datasets, run.spec.datasets, strict=True)
    ]
    return compute_fingerprint(TrainingSettings(**settings), as_written)


def build_output_uri(run: TrainingRun) -> str:
    """Folder that the final model is written to."""
    return f"{run.spec.checkpoint.uri.rstrip('/')}/model"


def count_nodes(run: TrainingRun, attempt: Attempt) -> int:
    """Pods of `attempt`. The status of earlier versions does not hold the number."""
    return attempt.nodes or run.spec.num_nodes


def count_restarts(run: TrainingRun) -> int:
    """How often the launchers of the next Job may start failed processes again: each time is a failure of the run."""
    return min(max(run.spec.backoff_limit - run.status.failures, 0), MAX_RESTARTS_IN_PLACE)


def count_gpus_per_node(run: TrainingRun) -> int:
    """GPUs of each pod. Raises ConfigurationError for a fraction of a GPU."""
    quantity = run.spec.resources_per_node.limits.get(GPU, 0)
    field = f"spec.resourcesPerNode.limits[{GPU}]"
    try:
        gpus = parse_quantity(quantity)
    except ValueError as error:
        raise ConfigurationError(f"{field}: {error}") from error
    if gpus != int(gpus):
        raise ConfigurationError(f"{field}: must be a whole number of GPUs, got {quantity}")
    return int(gpus)


def _resolve_datasets(run: TrainingRun) -> list[WorkloadDataset]:
    pinned = {dataset.name: dataset for dataset in run.status.datasets}
    return [
        WorkloadDataset(
            **{name: getattr(dataset, name) for name in DatasetSplits.model_fields},
            uri=pinned[dataset.name].uri,
            revision=pinned[dataset.name].revision,
        )
        for dataset in run.spec.datasets
    ]


def _resolve_model(run: TrainingRun) -> ModelSettings:
    named = run.status.model or run.spec.model
    return _build_model(run, named.uri, named.revision)


def _build_model(run: TrainingRun, uri: str, revision: str | None) -> ModelSettings:
    settings: dict[str, Any] = {name: getattr(run.spec.model, name) for name in ModelSettings.model_fields}
    return ModelSettings(**settings | {"uri": uri, "revision": revision})


def _resolve_input_cache(run: TrainingRun) -> InputCache | None:
    cache = run.spec.cache
    if cache.uri is None:
        return None
    return InputCache(uri=cache.uri, size_bytes=_parse_bytes(cache.size_limit, "spec.cache.sizeLimit"))


def _resolve_feature_cache(run: TrainingRun) -> FeatureCache | None:
    features = run.spec.cache.features
    if features is None:
        return None
    return FeatureCache(uri=features.uri, size_bytes=_parse_bytes(features.size_limit, "spec.cache.features.sizeLimit"))


def _compute_volume_size(run: TrainingRun) -> Quantity:
    """Of the node-local cache: the datasets, and the features if they are there too."""
    size, features = run.spec.cache.size_limit, _resolve_feature_cache(run)
    if features is None or features.uri is not None:
        return size
    return _parse_bytes(size, "spec.cache.sizeLimit") + features.size_bytes


def _parse_bytes(quantity: Quantity, field: str) -> int:
    try:
        return int(parse_quantity(quantity))
    except ValueError as error:
        raise ConfigurationError(f"{field}: {error}") from error


def _build_container(run: TrainingRun, attempt: Attempt) -> Container:
    spec = run.spec
    grace = spec.template.termination_grace_period_seconds or DEFAULT_GRACE_SECONDS
    own = {
        CACHE_VARIABLE: CACHE_PATH,
        MASTER_ADDRESS_VARIABLE: f"{attempt.job}-0.{attempt.job}:{RENDEZVOUS_PORT}",
        MAX_RESTARTS_VARIABLE: str(count_restarts(run)),
    }
    return Container(
        name="train",
        image=attempt.image,
        module=["deepsynth_train"],
        env=build_environment(spec.template.env, grace, own, {JOB_UID_VARIABLE: f"metadata.labels['{JOB_UID_LABEL}']"}),
        secrets=build_secret_sources(_find_secrets(run)),
        volumes=[
            build_document_volume(attempt.job),
            *build_scratch_volumes(),
            build_cache_volume(_compute_volume_size(run)),
            *build_claim_volumes(_find_locations(run)),
        ],
        grace_seconds=grace,
        resources=spec.resources_per_node,
        ports=[{"name": "rendezvous", "containerPort": RENDEZVOUS_PORT}],
    )


def _find_locations(run: TrainingRun) -> list[Location]:
    spec, status = run.spec, run.status
    features = spec.cache.features
    tracking = [item.tensorboard.uri if item.tensorboard else None for item in spec.tracking]
    return [
        Location("spec.model.uri", status.model.uri if status.model else spec.model.uri),
        *(Location(f"spec.datasets[{index}].uri", item.uri) for index, item in enumerate(status.datasets)),
        Location("spec.checkpoint.uri", spec.checkpoint.uri, is_written=True),
        Location("spec.cache.uri", spec.cache.uri, is_written=True),
        Location("spec.cache.features.uri", features.uri if features else None, is_written=True),
        Location("spec.publish.uri", spec.publish.uri if spec.publish else None, is_written=True),
        *(
            Location(f"spec.tracking[{index}].tensorboard.uri", uri, is_written=True)
            for index, uri in enumerate(tracking)
        ),
    ]


def _find_secrets(run: TrainingRun) -> list[SecretReference | None]:
    spec = run.spec
    trackers = [tracker for item in spec.tracking for tracker in (item.tensorboard, item.wandb, item.mlflow) if tracker]
    return [
        spec.model.secret_ref,
        *(dataset.secret_ref for dataset in spec.datasets),
        spec.checkpoint.secret_ref,
        spec.publish.secret_ref if spec.publish else None,
        *(tracker.secret_ref for tracker in trackers),
    ]
