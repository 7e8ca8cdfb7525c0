"""The Jobs of a generation and the attempts of a run, as spans of a time line with their causes."""

from collections.abc import Sequence
from datetime import datetime

from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob
from deepsynth_api.v1alpha1.training_run_status import TrainingRunStatus
from deepsynth_client.report.timeline import Mark, Span, Timeline, build_timeline


def build_job_line(jobs: Sequence[ChildJob], until: datetime | None) -> Timeline | None:
    spans = [
        Span(
            job.step,
            job.outcome or "Running",
            _join_cause(job.reason, job.message or job.obstacle),
            job.start_time,
            job.running_time,
            job.end_time,
        )
        for job in jobs
    ]
    return build_timeline("Jobs", spans, until=until)


def build_attempt_line(status: TrainingRunStatus, until: datetime | None) -> Timeline | None:
    spans = [
        Span(
            f"{attempt.number}",
            attempt.outcome or "Running",
            _join_cause(attempt.reason, attempt.message or attempt.obstacle),
            attempt.start_time,
            attempt.running_time,
            attempt.end_time,
        )
        for attempt in status.attempts
    ]
    marks = [Mark(f"checkpoint of step {saved.step}", saved.time) for saved in status.checkpoints]
    return build_timeline("Attempts and checkpoints", spans, marks, until=until)


def _join_cause(reason: str, message: str) -> str:
    return ": ".join(filter(None, [reason, message]))
