"""Pod-seconds of a TrainingRun, from attempts of earlier runs of the same model.

    seconds of an attempt = steps x pace + evaluations x seconds of one + the rest: start, saves and end

The pace lies between the mean of all steps, with slow first ones, and that of the last twenty. The rest lies between
what it was and what it is if all of it are saves. If the pods did not report these parts, all may grow with the steps,
or only steps as fast as the last twenty. Work is divided by the number of processes.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic.alias_generators import to_camel

from deepsynth_api.v1alpha1 import Attempt, TrainingRun, TrainingRunSpec
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
"""Fields of the spec on which the time of a sample or of an evaluation depends."""
_DEFAULT_SAVE_SECONDS: Final = 600
_MAX_EPOCHS: Final = 1e6


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
    return Span.join([_predict(run, steps, item) for item in basis.measured]).widen()


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
    speed = (new.spec.num_nodes * count_processes(new)) / (nodes * count_processes(old))
    ratio = steps * new.spec.global_batch_size / old.spec.global_batch_size / speed / measured.steps
    parts = _split(measured)
    if parts is None:
        return _predict_whole(measured, ratio) * new.spec.num_nodes
    stepping = _find_stepping(measured, parts.stepping) * ratio
    evaluations = _count_evaluations(new.spec, 0, steps, new.spec.epochs or _measure_epochs(measured) * ratio * speed)
    evaluating = parts.evaluating * (evaluations / _count_done_evaluations(measured) / speed)
    saves = _count_saves(new.spec, steps, stepping.expected) / _count_saves(old.spec, measured.steps, parts.stepping)
    rest = Span(parts.rest, parts.rest, parts.rest * max(saves, 1))
    return (stepping + Span(evaluating, evaluating, evaluating) + rest) * new.spec.num_nodes


@dataclass(frozen=True)
class _Parts:
    """Seconds of an attempt."""

    stepping: float
    evaluating: float
    rest: float


def _split(measured: MeasuredAttempt) -> _Parts | None:
    """None if its pods did not report them, or nonsense: they are not trusted."""
    stepping, evaluating = measured.attempt.step_seconds, measured.attempt.evaluation_seconds or 0
    if not stepping or stepping + evaluating > measured.seconds:
        return None
    return _Parts(stepping, evaluating, measured.seconds - stepping - evaluating)


def _predict_whole(measured: MeasuredAttempt, ratio: float) -> Span:
    mean = measured.seconds * ratio
    bare = _find_bare_pace(measured)
    if bare is None:
        return Span(mean, mean, mean)
    stepping = min(measured.steps * bare, measured.seconds)
    return Span.between(mean, measured.seconds - stepping + stepping * ratio)


def _find_stepping(measured: MeasuredAttempt, seconds: float) -> Span:
    bare = _find_bare_pace(measured)
    return Span.between(seconds, seconds if bare is None else bare * measured.steps)


def _count_evaluations(spec: TrainingRunSpec, first: int, last: int, epochs: float) -> int:
    """Of all steps after `first`, with that before the first one and that after the last one."""
    every = spec.evaluation.every_steps
    between = (last - 1) // every - first // every if every else max(math.ceil(epochs) - 1, 0)
    return (first == 0) + between + 1


def _count_done_evaluations(measured: MeasuredAttempt) -> int:
    first, last = measured.attempt.resumed_from_step or 0, measured.attempt.last_step or 0
    return _count_evaluations(measured.run.spec, first, last, _measure_epochs(measured))


def _count_saves(spec: TrainingRunSpec, steps: int, seconds: float) -> float:
    """With the last one."""
    if spec.checkpoint.every_steps:
        return (steps - 1) // spec.checkpoint.every_steps + 1
    return seconds / (spec.checkpoint.every_seconds or _DEFAULT_SAVE_SECONDS) + 1


def _measure_epochs(measured: MeasuredAttempt) -> float:
    """Passes over the data in the steps of the attempt."""
    progress = measured.run.status.progress
    try:
        epochs = float(progress.epoch) * measured.steps / progress.step if progress and progress.step else 0.0
    except ValueError:  # the report of a pod is untrusted input
        return 0.0
    return epochs if 0 <= epochs < _MAX_EPOCHS else 0.0


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
    """The compared fields that are not equal, as users write them. How often is evaluated is known."""
    first, second = (spec.updated(evaluation=spec.evaluation.updated(every_steps=None)) for spec in (first, second))
    return [to_camel(name) for name in _COMPARED if getattr(first, name) != getattr(second, name)]
