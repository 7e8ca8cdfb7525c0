"""Pod-seconds of a TrainingRun, from attempts of earlier runs of the same model.

    seconds of an attempt = start and end + steps x pace

The pace is that between two checkpoints of the attempt: it includes evaluations and saves. Where there is only one, it
lies between the rate of the last steps, which includes neither, and the mean over the attempt, which includes the
start. Work is divided by the number of processes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic.alias_generators import to_camel

from deepsynth_api.v1alpha1 import Attempt, CheckpointStatus, TrainingRun, TrainingRunSpec
from deepsynth_local.cost_estimate.generations import MAX_MEASURED, Corpus
from deepsynth_local.cost_estimate.span import Span
from deepsynth_operator.manifests.train_job import count_gpus_per_node

_COMPARED: Final = (
    "model",
    "task",
    "precision",
    "sharding",
    "gradient_checkpointing",
    "compile",
    "micro_batch_size",
    "max_label_tokens",
    "image_processor",
    "resources_per_node",
    "evaluation",
)
"""Fields of the spec on which the time of a sample depends."""


@dataclass(frozen=True)
class MeasuredAttempt:
    """The longest attempt of a run. Seconds are of the wall clock, for all of its steps."""

    run: TrainingRun
    attempt: Attempt
    steps: int
    seconds: float


@dataclass(frozen=True)
class RunBasis:
    measured: Sequence[MeasuredAttempt]
    note: str


def choose_attempts(run: TrainingRun, others: Iterable[TrainingRun]) -> RunBasis:
    """Those of the newest runs that differ least from `run` in what the time depends on."""
    same_model = [other for other in others if _identify_model(other.spec) == _identify_model(run.spec)]
    measured = [found for other in same_model if (found := measure_attempt(other)) is not None]
    if not measured:
        return RunBasis([], "not measured: no attempt with this model has ended; train it with maxSteps: 50 first")
    differences = [_find_differences(run.spec, item.run.spec) for item in measured]
    least = min(map(len, differences))
    chosen = [item for item, found in zip(measured, differences, strict=True) if len(found) == least][-MAX_MEASURED:]
    names = ", ".join(f"trainingrun/{item.run.metadata.name} attempt {item.attempt.number}" for item in chosen)
    other = f", with other {', '.join(_find_differences(run.spec, chosen[-1].run.spec))}" if least else ""
    return RunBasis(chosen, f"measured: {names}{other}")


def count_steps(run: TrainingRun, corpora: Mapping[str, Corpus]) -> int | None:
    """Optimizer steps, from maxSteps or from the size of the datasets. corpora: by the name of the dataset."""
    spec = run.spec
    if spec.max_steps is not None:
        return spec.max_steps
    samples = [
        _count_samples(corpora[dataset.name], spec.task) * float(dataset.weight)
        for dataset in spec.datasets
        if dataset.name in corpora
    ]
    if len(samples) < len(spec.datasets) or not all(samples):
        return None
    return max(round(sum(samples) * (spec.epochs or 1) / spec.global_batch_size), 1)


def predict_seconds(run: TrainingRun, steps: int, basis: RunBasis) -> Span:
    """Pod-seconds of an undisturbed run. basis: not empty."""
    return Span.join([_predict(run, steps, item) for item in basis.measured])


def measure_attempt(run: TrainingRun) -> MeasuredAttempt | None:
    """The attempt of the run that did most steps; None if none did any, or none has ended."""
    found = [
        MeasuredAttempt(run, attempt, steps, (attempt.end_time - attempt.held_time).total_seconds())
        for attempt in run.status.attempts
        if attempt.end_time and attempt.held_time
        if (steps := (attempt.last_step or 0) - (attempt.resumed_from_step or 0)) > 0
    ]
    return max(found, key=lambda item: item.steps, default=None)


def _predict(run: TrainingRun, steps: int, measured: MeasuredAttempt) -> Span:
    """A run of `steps` steps, as often as large as the measured one in samples, on as many processes."""
    old, new = measured.run, run
    nodes = measured.attempt.nodes or old.spec.num_nodes
    batches = new.spec.global_batch_size / old.spec.global_batch_size
    speed = (new.spec.num_nodes * count_processes(new)) / (nodes * count_processes(old))
    ratio = steps * batches / speed / measured.steps
    mean = measured.seconds * ratio
    guesses = [mean, *(_grow(measured, pace, ratio) for pace in _find_paces(measured))]
    expected = guesses[1] if _find_pace(measured) is not None else (min(guesses) + max(guesses)) / 2
    return Span(expected, min(guesses), max(guesses)) * new.spec.num_nodes


def _grow(measured: MeasuredAttempt, pace: float, ratio: float) -> float:
    """Seconds of a run whose steps grow by `ratio`, and whose start and end do not."""
    stepping = min(measured.steps * pace, measured.seconds)
    return measured.seconds - stepping + stepping * ratio


def _find_paces(measured: MeasuredAttempt) -> list[float]:
    """Seconds per step: with evaluations and saves first, if that is known, then without."""
    return [pace for pace in (_find_pace(measured), _find_bare_pace(measured)) if pace is not None]


def _find_pace(measured: MeasuredAttempt) -> float | None:
    """Seconds per step between the first and the last checkpoint that are known of the attempt."""
    start, end = measured.attempt.held_time, measured.attempt.end_time
    saved = sorted(
        (item.step, item.time) for item in _list_checkpoints(measured.run) if _is_within(item.time, start, end)
    )
    if len(saved) < 2:
        return None
    (first, first_time), (last, last_time) = saved[0], saved[-1]
    return (last_time - first_time).total_seconds() / (last - first) if last > first else None


def _list_checkpoints(run: TrainingRun) -> list[CheckpointStatus]:
    return [*run.status.checkpoints, *([run.status.best_checkpoint] if run.status.best_checkpoint else [])]


def _is_within(time: datetime, start: datetime | None, end: datetime | None) -> bool:
    return start is not None and end is not None and start <= time <= end


def _find_bare_pace(measured: MeasuredAttempt) -> float | None:
    """Seconds per step over the last twenty steps."""
    progress = measured.run.status.progress
    is_last = measured.attempt.number == measured.run.status.attempts[-1].number
    try:
        rate = float(progress.samples_per_second) if progress and is_last else 0.0
    except ValueError:  # the report of a pod is untrusted input
        return None
    return measured.run.spec.global_batch_size / rate if rate > 0 else None


def count_processes(run: TrainingRun) -> int:
    """Of a pod."""
    return run.spec.num_proc_per_node or count_gpus_per_node(run) or 1


def _count_samples(corpus: Corpus, task: str) -> float:
    """Samples of an epoch; 0 if they are not known: a sample is a document to summarize, or a page to read."""
    documents = corpus.documents * (corpus.train_share or 1)
    return documents if task == "summarize" else documents * (corpus.pages_per_document or 0)


def _identify_model(spec: TrainingRunSpec) -> object:
    return spec.model.uri or spec.model.training_run_ref


def _find_differences(first: TrainingRunSpec, second: TrainingRunSpec) -> list[str]:
    """The compared fields that are not equal, as users write them."""
    return [to_camel(name) for name in _COMPARED if getattr(first, name) != getattr(second, name)]
