"""What a pod reports after some seconds: every report differs from the one before, as those of real pods do."""

from datetime import UTC, datetime, timedelta
from typing import Final

from deepsynth_api.report import RenderReport, Report, TrainReport
from deepsynth_api.v1alpha1.training_run_status import CheckpointStatus, MetricValue
from e2e.support.fake_pods import build_report

STEPS_PER_SECOND: Final = 2.0
STEPS_PER_SAVE: Final = 600
TOTAL_STEPS: Final = 10_000


def build_live_report(step: str, index: int, seconds: float) -> str:
    """The answer to GET /report of a pod that has run for this long."""
    now = datetime.now(UTC).replace(microsecond=0)
    match step:
        case "train":
            report = Report(step="train", time=now, train=_build_train(seconds, now))
        case "render":
            done = int(seconds)
            report = Report(
                step="render",
                time=now,
                render=RenderReport(
                    shard=index, documents_total=40, documents=min(done, 40), pages=done * 2, pages_per_second=2.0
                ),
            )
        case _:
            return ""
    return report.model_dump_json(by_alias=True, exclude_none=True)


def build_final_report(step: str, index: int, seconds: float) -> str:
    """The termination message of a pod that succeeds after this long."""
    if not step:
        return ""
    report = build_report(step, index)
    if step == "train" and report.train is not None:
        done = int(seconds * STEPS_PER_SECOND)
        train = report.train.model_copy(update={"step": done, "total_steps": done, "saved_step": done})
        report = report.model_copy(update={"train": train})
    return report.model_dump_json(by_alias=True, exclude_none=True)


def _build_train(seconds: float, now: datetime) -> TrainReport:
    step = int(seconds * STEPS_PER_SECOND)
    saved = step - step % STEPS_PER_SAVE
    loss = 2.0 + 8.0 / (1 + step)
    uri = "pvc://deepsynth/run/checkpoints"
    time = now - timedelta(seconds=int(seconds - saved / STEPS_PER_SECOND))
    checkpoints = [CheckpointStatus(step=saved, uri=f"{uri}/{saved}", time=time)] if saved else []
    return TrainReport(
        attempt=1,
        phase="step",
        step=step,
        total_steps=TOTAL_STEPS,
        epoch=step / TOTAL_STEPS,
        loss=loss,
        grad_norm=1.0 / (1 + step),
        learning_rate=1e-4,
        samples_per_second=8.0,
        pages_per_second=8.0,
        label_tokens_per_second=4000.0,
        data_wait_share=0.01,
        peak_memory_bytes=40 << 30,
        remaining_seconds=(TOTAL_STEPS - step) / STEPS_PER_SECOND,
        saved_step=saved or None,
        checkpoints=checkpoints,
        metrics=[MetricValue(name="loss", value=f"{loss:.4f}", step=saved)] if saved else [],
    )
