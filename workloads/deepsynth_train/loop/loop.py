"""The training loop: step after step, with evaluations and saves in between, until the end or a request to stop."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.report import WARNING
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.checkpoint.content import Snapshot, WriteModel
from deepsynth_train.checkpoint.folder import CheckpointFolder
from deepsynth_train.checkpoint.manifest import Evaluation
from deepsynth_train.checkpoint.state.trained import Trained
from deepsynth_train.coordination.progress import Progress, StepReport
from deepsynth_train.data.loader import BatchMaker, prefetch
from deepsynth_train.data.sampler import Sampler, derive_seed, split_batch
from deepsynth_train.evaluation.evaluator import Evaluator
from deepsynth_train.evaluation.generation import Chunk
from deepsynth_train.evaluation.ranking import (
    LOSS,
    VALUES,
    choose_best_metric,
    choose_stopping_metric,
    count_stale,
    read_scores,
)
from deepsynth_train.loop.cadence import Cadence
from deepsynth_train.loop.meter import Meter, read_peak_memory
from deepsynth_train.models.interface.page_model import Batch
from deepsynth_train.optimization.schedule import compute_learning_rate
from deepsynth_train.optimization.step import Flags, RefusedBatchError, StepOutcome, Stepper
from deepsynth_train.tracking.tracking import Tracking

logger = logging.getLogger(__name__)

MAX_NAMED_SAMPLES = 8
MAX_SKIPPED_IN_A_ROW = 10
"""`spec.onNonFinite: skip` is for single bad batches; more in a row mean that training has diverged."""


@dataclass
class Loop:
    """The steps of one attempt, from `step` on.

    step: optimizer steps done. metrics: the curve so far, one line per step or evaluation, as in metrics.jsonl.
    stopped: a rank asked for it. is_stale: spec.evaluation.earlyStopping ended the training.
    evaluator: None without a validation split. write_model: writes the model folder of each checkpoint; None for none.
    """

    settings: TrainingSettings
    micro_batch_size: int
    stepper: Stepper
    sampler: Sampler
    maker: BatchMaker
    cadence: Cadence
    checkpoints: CheckpointFolder
    evaluator: Evaluator | None
    progress: Progress
    should_stop: Callable[[], bool]
    write_model: WriteModel | None
    threads: int
    tracking: Tracking
    step: int = 0
    metrics: list[dict[str, Any]] = field(default_factory=list)
    stopped: bool = False
    is_stale: bool = False
    _skipped: int = 0
    _meter: Meter = field(default_factory=Meter)
    _saved_at: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Train to the end, or until a rank asks to stop. Saves the last state in both cases.

        Raises DataError (NonFiniteLoss) when the loss of a step is NaN or infinite twice, or too many steps were
        skipped in a row.
        """
        self.tracking.begin(self.step + 1 if self.metrics else 0)
        if self._is_evaluation_missing():
            self._evaluate()
        self.is_stale = self._has_stopped_improving()
        self._store_score()
        self._enter_steps()
        batches = self._read_ahead()
        while self.step < self.cadence.total_steps and not self.stopped and not self.is_stale:
            self._do_step(batches)
        self._save()
        self.progress.phase("save")  # until the last checkpoint is where it belongs
        self.checkpoints.wait()
        self.tracking.finish()

    def _do_step(self, batches: Iterator[Batch]) -> None:
        start = time.perf_counter()
        outcome = self._try_step(batches)
        self.step += 1
        self._meter.add(
            time.perf_counter() - start,
            outcome.waited_seconds,
            outcome.samples,
            outcome.pages,
            outcome.label_tokens,
        )
        self._report(outcome)
        is_saved = self.cadence.is_save_due(self.step) or outcome.flags.save
        if is_saved:  # before the evaluation, so that a hang there does not lose the steps since the last save
            self._save()
        if self.cadence.is_evaluation_due(self.step) and not outcome.flags.stop:
            self._evaluate()
            self.is_stale = self._has_stopped_improving()
            if not is_saved and self._is_best():
                self._save()
                self._store_score()
        self.stopped = outcome.flags.stop and self.step < self.cadence.total_steps

    def _try_step(self, batches: Iterator[Batch]) -> StepOutcome:
        """Run a step; if its loss is not finite, run it once more: a memory error does not repeat, bad data does."""
        outcome = self._run_step(batches)
        if outcome.updated or outcome.overflowed:
            self._skipped = 0
            return outcome
        if self.settings.on_non_finite == "skip":
            self._skip()
            return outcome
        again = self._run_step(prefetch(self._plan(self.step), self._make, 1))
        if again.updated or again.overflowed:
            return again
        raise DataError(self._describe_non_finite(), reason=Reason.NON_FINITE_LOSS)

    def _skip(self) -> None:
        """Note that the batch was skipped. Diverged weights make every batch bad, so fail after several in a row."""
        self._skipped += 1
        if self._skipped == MAX_SKIPPED_IN_A_ROW:
            raise DataError(
                f"the loss of {MAX_SKIPPED_IN_A_ROW} steps in a row up to step {self.step + 1} is not finite: "
                "training has diverged; lower spec.optimizer.learningRate or raise spec.optimizer.warmupSteps",
                reason=Reason.NON_FINITE_LOSS,
            )
        self.progress.note(f"{WARNING}step {self.step + 1} was skipped: its loss is not finite")

    def _run_step(self, batches: Iterator[Batch]) -> StepOutcome:
        world = self.stepper.world
        torch.manual_seed(derive_seed(self.settings.seed, self.step, world.rank))
        wants_save = world.is_first and self.cadence.wants_save(time.monotonic() - self._saved_at)
        rate = compute_learning_rate(self.settings.optimizer, self.step, self.cadence.total_steps)
        flags = Flags(stop=self.should_stop(), save=wants_save)
        try:
            return self.stepper.run(batches, len(self._plan(self.step)), rate, flags)
        except RefusedBatchError as refused:
            logger.exception("step %d failed", self.step + 1)
            raise DataError(self._describe_refused(refused.__cause__)) from refused.__cause__

    def _plan(self, step: int) -> list[Chunk]:
        """Micro-batches of this rank in a step, as sample numbers; an empty one is a filler.

        Global batch of 3, rank 1 of 2, micro-batches of 1, equal_batches: [[4], []], because rank 0 has 2 samples.
        """
        world, tokens = self.stepper.world, self.maker.samples.index.tokens
        batch = self.sampler.select_batch(step)
        pieces = split_batch(batch, tokens, world.rank, world.size, self.micro_batch_size)
        keeps_empty = self.stepper.reduction.needs_equal_batches
        return [piece.tolist() for piece in pieces if keeps_empty or len(piece)]

    def _read_ahead(self) -> Iterator[Batch]:
        steps = range(self.step, self.cadence.total_steps)
        return prefetch((numbers for step in steps for numbers in self._plan(step)), self._make, self.threads)

    def _make(self, numbers: Chunk) -> Batch:
        return self.maker.make_batch(numbers) if numbers else self.maker.make_filler()

    def _describe_non_finite(self) -> str:
        samples = self._name(self.sampler.select_batch(self.step).tolist())
        return (
            f"the loss of step {self.step + 1} is not finite, twice; check its samples ({samples}), lower "
            "spec.optimizer.learningRate, or set spec.onNonFinite to skip"
        )

    def _describe_refused(self, error: BaseException | None) -> str:
        mine = [number for numbers in self._plan(self.step) for number in numbers]
        text = f"{type(error).__name__}: {error}"[:300]
        return (
            f"step {self.step + 1}: the model cannot compute with a sample of this rank's batch ({text}); check "
            f"{self._name(mine)}, and report it if they look right"
        )

    def _name(self, numbers: Sequence[int]) -> str:
        """The first samples, for messages."""
        names = [self.maker.samples.name(number) for number in numbers[:MAX_NAMED_SAMPLES]]
        return ", ".join(names)

    def _report(self, outcome: StepOutcome) -> None:
        rates = self._meter.compute_rates()
        report = StepReport(
            step=self.step,
            total_steps=self.cadence.total_steps,
            epoch=self.sampler.find_position(self.step) / self.cadence.epoch_length,
            loss=outcome.loss,
            grad_norm=outcome.grad_norm,
            learning_rate=compute_learning_rate(self.settings.optimizer, self.step - 1, self.cadence.total_steps),
            samples_per_second=rates.samples,
            pages_per_second=rates.pages,
            label_tokens_per_second=rates.label_tokens,
            data_wait_share=rates.data_wait_share,
            peak_memory_bytes=read_peak_memory(self.stepper.world.device),
            remaining_seconds=(self.cadence.total_steps - self.step) * rates.seconds_per_step,
            skipped=not outcome.updated,
        )
        self._note(
            loss=outcome.loss,
            grad_norm=outcome.grad_norm,
            learning_rate=report.learning_rate,
            samples_per_second=float(f"{rates.samples:.4g}"),
        )
        self.progress.step(report)

    def _is_evaluation_missing(self) -> bool:
        """Before the first step, and when the last attempt ended between the save and the evaluation of a step."""
        if self.step == 0:
            return not self.metrics
        return self.cadence.is_evaluation_due(self.step) and self._find_loss() is None

    def _evaluate(self) -> None:
        """Evaluate, if there is anything to evaluate on. Stored in the checkpoint of this step if there is one."""
        if self.evaluator is None:
            return
        self.progress.phase("evaluate")
        last = self.step == self.cadence.total_steps
        found = self.evaluator.evaluate(self.step, black=last)
        values = found.values
        self._note(**values)
        self.tracking.show(self.step, found.samples)
        self.progress.evaluation(self.step, values, found.samples)
        self._store_evaluation()
        self._enter_steps()

    def _store_evaluation(self) -> None:
        """In the checkpoint of this step, if there is one."""
        line = next((line for line in self.metrics[::-1] if line["step"] == self.step and LOSS in line), None)
        if line is None:
            return
        metric = choose_best_metric(self.settings.evaluation)
        score = None if metric == "loss" else read_scores([line], metric).get(self.step)
        evaluation = Evaluation(line[LOSS], line)
        if score is not None:
            evaluation = replace(evaluation, score=score, metric=metric, value=line[VALUES[metric]])
        self.checkpoints.save_evaluation(self.step, evaluation)

    def _enter_steps(self) -> None:
        if self.step < self.cadence.total_steps:
            self.progress.phase("step")

    def _store_score(self) -> None:
        """A checkpoint that was saved after its evaluation holds the loss, but not the metric that ranks it."""
        if choose_best_metric(self.settings.evaluation) != "loss":
            self._store_evaluation()

    def _has_stopped_improving(self) -> bool:
        """Whether spec.evaluation.earlyStopping ends the training: a function of the curve, so a resume knows it."""
        early = self.settings.evaluation.early_stopping
        if early is None or self.step == self.cadence.total_steps:
            return False
        scores = read_scores(self.metrics, choose_stopping_metric(self.settings.evaluation))
        done = [score for step, score in sorted(scores.items()) if 0 < step <= self.step]
        return count_stale(done, float(early.min_delta)) >= early.patience

    def _is_best(self) -> bool:
        """Whether spec.checkpoint.keepBest needs a save here although none is due."""
        scores = read_scores(self.metrics, choose_best_metric(self.settings.evaluation))
        score = scores.get(self.step, math.inf)
        if not math.isfinite(score) or not self.settings.checkpoint.keep_best:
            return False
        # With early stopping a checkpoint becomes the model, and before the first step there is none.
        first = 1 if self.settings.evaluation.early_stopping else 0
        return all(score < earlier for step, earlier in scores.items() if first <= step < self.step)

    def _note(self, **values: float) -> None:
        self.metrics.append({"step": self.step, **values})
        self.tracking.write(self.step, values)

    def _save(self) -> None:
        if self.step == 0:
            return
        self.progress.phase("save")
        self.checkpoints.save(
            self.step,
            Snapshot(
                trained=Trained(self.stepper.model.module, self.stepper.optimizer),
                state={
                    "step": self.step,
                    "position": self.sampler.find_position(self.step),
                    "loss_scale": self._read_loss_scale(),
                },
                metrics=self.metrics,
                loss=self._find_loss(),
                write_model=self.write_model,
            ),
        )
        self.tracking.save()
        self._saved_at = time.monotonic()
        self._enter_steps()

    def _read_loss_scale(self) -> Mapping[str, float]:
        return {"scale": self.stepper.loss_scale.scale, "good_steps": self.stepper.loss_scale.good_steps}

    def _find_loss(self) -> float | None:
        """Validation loss at the present step, if it was evaluated."""
        return next((line[LOSS] for line in self.metrics if line["step"] == self.step and LOSS in line), None)
