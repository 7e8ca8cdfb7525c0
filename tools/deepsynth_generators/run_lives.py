"""Everything that may be seen of a TrainingRun, for `lives.walk`."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from deepsynth_api.reasons import Reason
from deepsynth_api.report import Failure, Report, Restart, TrainReport
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_api.v1alpha1.training_run import ElasticSettings
from deepsynth_generators.lives import (
    BEGIN,
    DISRUPTIONS,
    OBSTACLES,
    Sight,
    World,
    build_ended_pod,
    build_job,
    build_pending_pod,
    build_pod,
    group_reason,
    see_children,
    see_common_ends,
)
from deepsynth_operator.core.observed import ObservedJob, ObservedPod, ObservedRun, Refusal
from deepsynth_operator.decisions.training_run.attempts import (
    count_in_place,
    get_last,
    get_live,
    is_before_continuation,
)
from deepsynth_operator.decisions.training_run.decide import decide_run
from deepsynth_operator.decisions.training_run.failures import MAX_ATTEMPTS_WITHOUT_PROGRESS as _MAX_FRUITLESS
from deepsynth_operator.decisions.training_run.next_attempt.changes import forget_earlier

_REFUSALS: Final = (
    Refusal("CreationRefused", "a quota"),
    Refusal("BadConfiguration", "a field", 64),
    Refusal("PodGroupsMissing", "a CRD", is_temporary=True),
)
_DEADLINE_SECONDS: Final = 10**6
_EXIT_CODES: Final = (1, 64, 65, 69, 70, 75, 79, 143)


def build_run_world() -> World[TrainingRun]:
    """Runs of two pods that need a dataset and a model.

    The second one has had nine attempts without a new checkpoint, and may start with a single pod.
    """
    fresh = _build_run()
    failing = fresh.updated(
        spec=fresh.spec.updated(elastic=ElasticSettings(min_nodes=1)),
        status=fresh.status.updated(attempts_without_progress=_MAX_FRUITLESS - 1),
    )
    return World((fresh, failing), _look, decide_run, _key, continues=True)


def _build_run() -> TrainingRun:
    spec = {
        "model": {"trainingRunRef": {"name": "base"}},
        "datasets": [{"name": "pages", "datasetGenerationRef": {"name": "pages"}}],
        "checkpoint": {"uri": "pvc://checkpoints/run"},
        "numNodes": 2,
        "backoffLimit": 1,
        "activeDeadlineSeconds": _DEADLINE_SECONDS,
    }
    metadata = {"name": "run", "uid": "uid-run", "generation": 1}
    return TrainingRun.model_validate({"metadata": metadata, "spec": spec})


def _key(run: TrainingRun) -> object:
    status, last = run.status, get_last(run.status)
    attempt = last and (
        last.outcome,
        last.reason,
        last.exit_code,
        last.end_time is None,
        bool(last.job_uid),
        last.held_time is None,
        last.running_time is None,
        last.in_place,
    )
    live = get_live(status)
    # Asked of an attempt that may be at work, and of no other: the next one begins without it.
    phase = status.progress.phase if status.progress and live and live.outcome is None else None
    started = status.start_time is not None
    nan = any(item.reason == Reason.NON_FINITE_LOSS for item in forget_earlier(status).attempts[:-1])
    fruitless = status.attempts_without_progress
    counts = min(status.failures, 2), fruitless if fruitless >= _MAX_FRUITLESS - 1 else min(fruitless, 1), nan
    earlier = is_before_continuation(status)
    size = run.spec.elastic is not None, live and live.nodes
    return run.spec.suspend, status.state, group_reason(status), attempt, phase, started, counts, earlier, size


def _look(run: TrainingRun, now: datetime) -> Iterator[Sight[TrainingRun]]:
    toggled = run.updated(spec=run.spec.updated(suspend=not run.spec.suspend))
    last, live = get_last(run.status), get_live(run.status)
    if run.status.completion_time is not None:
        if last is not None:
            yield from _see_extension(run, last.job, now)
    elif last is None:
        for seen in (run, toggled):
            yield from (Sight(seen, observed) for observed in _see_inputs(seen))
    elif live is None:
        yield from _see_between(run, last.job, now)
        yield Sight(toggled, ObservedRun(toggled))
        yield Sight(toggled, ObservedRun(toggled, see_children(build_job(last.job, "train", 2, now))))
    else:
        yield from _see_live(run, live.job, now)
        running = build_job(live.job, "train", 2, now)
        yield Sight(toggled, ObservedRun(toggled, see_children(running)))
        yield Sight(run, ObservedRun(run, see_children(running)), seconds=_DEADLINE_SECONDS + 1)


def _see_inputs(run: TrainingRun) -> Iterator[ObservedRun]:
    pages, base = _build_output(DatasetGeneration, "pages"), _build_output(TrainingRun, "base")
    yield ObservedRun(run)
    yield ObservedRun(run, generations={"pages": _build_output(DatasetGeneration, "pages", condition="")})
    yield ObservedRun(run, generations={"pages": _build_output(DatasetGeneration, "pages", condition="Failed")})
    yield ObservedRun(run, generations={"pages": pages})
    yield ObservedRun(run, generations={"pages": pages}, model_run=_build_output(TrainingRun, "base", condition=""))
    failed = _build_output(TrainingRun, "base", condition="Failed")
    yield ObservedRun(run, generations={"pages": pages}, model_run=failed)
    yield ObservedRun(run, generations={"pages": pages}, model_run=base)


def _build_output(kind: Any, name: str, condition: str = "Complete") -> Any:
    entry = {"type": condition, "status": "True", "reason": condition, "lastTransitionTime": BEGIN}
    output = {"uri": f"pvc://data/{name}", "revision": "r1", "rows": 1, "pages": 1, "bytes": 1, "manifestSha256": "0"}
    spec = {"source": {"uri": "docstrings://"}, "output": {"uri": "pvc://data/pages"}}
    if kind is TrainingRun:
        spec = _build_run().to_dict()["spec"]
    status = {"conditions": [entry] if condition else [], "output": output}
    return kind.model_validate({"metadata": {"name": name}, "spec": spec, "status": status})


def _see_between(run: TrainingRun, job: str, now: datetime) -> Iterator[Sight[TrainingRun]]:
    """No attempt is live: its Job may be there still, suspended by its queue, admitted again, or with new pods."""
    queued = build_job(job, "train", 2, now, replaces_pods=True, was_admitted=True)
    resumed = replace(queued, restarted_after=run.status.attempts[-1].number, started=now + timedelta(seconds=10))
    suspended = replace(resumed, suspended=True)
    for kept in (queued, replace(suspended, is_held=True), suspended, resumed):
        yield Sight(run, ObservedRun(run, see_children(kept)), seconds=20)
    yield Sight(run, ObservedRun(run))
    yield Sight(run, ObservedRun(run), seconds=1000)
    yield Sight(run, ObservedRun(run, see_children(build_job(job, "train", 2, now))), seconds=1000)
    yield Sight(run, ObservedRun(run, see_children(build_job(job, "train", 2, now, suspended=True))))
    yield Sight(run, ObservedRun(run), seconds=_DEADLINE_SECONDS + 1)


def _see_extension(run: TrainingRun, job: str, now: datetime) -> Iterator[Sight[TrainingRun]]:
    """A finished run gets more steps, long after its start; its last Job may be there still."""
    for suspend in (False, True):
        spec = run.spec.updated(max_steps=(run.spec.max_steps or 10) + 10, suspend=suspend)
        more = run.updated(spec=spec, metadata=run.metadata.updated(generation=run.metadata.generation + 1))
        yield Sight(more, ObservedRun(more), seconds=1000)
        yield Sight(more, ObservedRun(more, see_children(build_job(job, "train", 2, now))), seconds=1000)


def _see_live(run: TrainingRun, job: str, now: datetime) -> Iterator[Sight[TrainingRun]]:
    for refusal in _REFUSALS:
        yield Sight(run, ObservedRun(run, refusal=refusal))
    for seen, pods in [*see_common_ends(job, "train", 2, now), *_see_starts(job, now), *_see_ends(job, now)]:
        yield Sight(run, ObservedRun(run, see_children(seen, pods)))
    yield _see_restart(run, job, now)
    if run.spec.elastic:
        saved = TrainReport(attempt=1, phase="step", step=5, total_steps=10, saved_step=5)
        pods = (build_pod(job, 0, now, report=Report(step="train", time=now, train=saved)),)
        yield Sight(run, ObservedRun(run, see_children(build_job(job, "train", 1, now), pods)), seconds=100_000)
    for obstacle in ({}, *OBSTACLES):
        pods = (build_pod(job, 0, now), build_pending_pod(job, 1, now, **obstacle))
        yield Sight(run, ObservedRun(run, see_children(build_job(job, "train", 2, now), pods)), seconds=1000)


def _see_restart(run: TrainingRun, job: str, now: datetime) -> Sight[TrainingRun]:
    """A process has failed, and the launchers have started all of them again in the same pods."""
    failure = Failure(reason="WorkerKilled", message="rank 0 was killed", exit_code=137)
    restarts = [Restart(failure=failure, time=now)] * (count_in_place(run.status) + 1)
    report = Report(step="train", time=now, train=TrainReport(attempt=1), restarts=restarts)
    pods = [build_pod(job, index, now, report=report) for index in range(2)]
    return Sight(run, ObservedRun(run, see_children(build_job(job, "train", 2, now), pods)))


def _see_starts(job: str, now: datetime) -> Iterator[tuple[ObservedJob, tuple[ObservedPod, ...]]]:
    working = build_job(job, "train", 2, now)
    for obstacle in ({}, *OBSTACLES):
        yield working, tuple(build_pending_pod(job, index, now, **obstacle) for index in range(2))
    for phase, step in (("start", 0), ("step", 5), ("save", 5)):
        train = TrainReport.model_validate({"attempt": 1, "phase": phase, "step": step, "totalSteps": 10})
        report = Report(step="train", time=now, train=train)
        yield working, tuple(build_pod(job, index, now, report=report) for index in range(2))


def _see_ends(job: str, now: datetime) -> Iterator[tuple[ObservedJob, tuple[ObservedPod, ...]]]:
    failed = build_job(job, "train", 2, now, is_failed=True, finished=now - timedelta(seconds=1000))
    failing = build_job(job, "train", 2, now, is_failing=True)
    for seen in (failing, failed):
        for code in _EXIT_CODES:
            yield seen, (build_ended_pod(job, 0, now, code), build_pod(job, 1, now))
        yield seen, (build_ended_pod(job, 0, now, 137, exit_reason="OOMKilled"),)
        for disruption in DISRUPTIONS:
            yield seen, (build_ended_pod(job, 0, now, 143, disruption=disruption),)
        failure = Failure(reason="NonFiniteLoss", message="loss is nan", exit_code=1, step=7)
        yield seen, (build_ended_pod(job, 0, now, 1, report=Report(step="train", time=now, failure=failure)),)
        yield seen, ()
        yield replace(seen, failure_message="a pod has condition DisruptionTarget"), ()
    done = build_job(job, "train", 2, now, is_complete=True, finished=now - timedelta(seconds=1000))
    yield done, tuple(build_ended_pod(job, index, now, 0) for index in range(2))
