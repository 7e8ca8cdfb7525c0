"""Which evaluation of a curve is the best, and whether there has been none better for too long. Pure.

A score is a metric turned so that lower is better: the loss itself, or ROUGE with its sign changed.

    step        0     10    20    30    40          patience 2: ends at step 40, and the model is that of step 20
    cer       0.90   0.50  0.30  0.31  0.35
    stale              0     0     1     2
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import EvaluationSettings
from deepsynth_train.evaluation.text_metrics import CER, EXACT_MATCH, ROUGE_L, WER

LOSS: Final = "validation_loss"
VALUES: Final[Mapping[str, str]] = {"loss": LOSS, "rouge": ROUGE_L, "cer": CER, "wer": WER, "exactMatch": EXACT_MATCH}
"""The value on the curve by which a metric of spec.evaluation ranks."""
_HIGHER_IS_BETTER: Final = frozenset({"rouge", "exactMatch"})


def choose_best_metric(settings: EvaluationSettings) -> str:
    """The metric that decides which checkpoint is the best."""
    early = settings.early_stopping
    return settings.best_metric or (early.metric if early else None) or "loss"


def choose_stopping_metric(settings: EvaluationSettings) -> str:
    """The metric that must improve for the training to continue."""
    early = settings.early_stopping
    return (early.metric if early else None) or choose_best_metric(settings)


def check_ranking(settings: EvaluationSettings, *, keep_best: bool, has_samples: bool) -> None:
    """Raises ConfigurationError when a metric that decides is not computed, or the best checkpoint is not kept."""
    chosen = {"bestMetric": settings.best_metric}
    if settings.early_stopping:
        chosen["earlyStopping.metric"] = settings.early_stopping.metric
    for field, metric in chosen.items():
        if metric not in {None, "loss", *settings.metrics}:
            raise ConfigurationError(f"spec.evaluation.{field}: {metric} must also be in spec.evaluation.metrics")
    if settings.early_stopping and not keep_best:
        raise ConfigurationError("spec.checkpoint.keepBest: must be true with spec.evaluation.earlyStopping")
    if settings.early_stopping and not has_samples:
        raise ConfigurationError(
            "spec.evaluation.earlyStopping: there is nothing to evaluate on; name a validationSplit, set "
            "spec.evaluation.holdoutPercent above 0, or remove earlyStopping"
        )


def read_scores(curve: Iterable[Mapping[str, Any]], metric: str) -> dict[int, float]:
    """The score at each step that was evaluated; infinite where the value is not a number."""
    name, sign = VALUES[metric], -1 if metric in _HIGHER_IS_BETTER else 1
    found = {int(line["step"]): sign * float(line[name]) for line in curve if name in line}
    return {step: score if math.isfinite(score) else math.inf for step, score in found.items()}


def count_stale(scores: Sequence[float], min_delta: float) -> int:
    """Number of evaluations since the last improvement: a score more than `min_delta` below that of the one before."""
    best, stale = math.inf, 0
    for score in scores:
        if score < best - min_delta:
            best, stale = score, 0
        else:
            stale += 1
    return stale
