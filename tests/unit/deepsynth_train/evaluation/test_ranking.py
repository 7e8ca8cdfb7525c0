import math
from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import EvaluationSettings
from deepsynth_train.evaluation.ranking import (
    check_ranking,
    choose_best_metric,
    choose_stopping_metric,
    count_stale,
    read_scores,
)


def settings(**changes: Any) -> EvaluationSettings:
    return EvaluationSettings.model_validate({"metrics": ["loss", "cer", "rouge"], **changes})


@pytest.mark.parametrize(
    ("scores", "min_delta", "stale"),
    [
        ([], 0, 0),
        ([0.5], 0, 0),
        ([0.5, 0.3, 0.31, 0.35], 0, 2),
        ([0.5, 0.5], 0, 1),
        ([0.5, 0.45, 0.42, 0.39], 0.1, 0),
        ([0.5, 0.45, 0.42], 0.1, 2),
        ([0.5, math.inf, 0.4], 0, 0),
        ([math.inf, math.inf], 0, 2),
    ],
)
def test_evaluations_without_an_improvement_are_counted(scores: list[float], min_delta: float, stale: int) -> None:
    assert count_stale(scores, min_delta) == stale


def test_lower_is_better_for_every_score() -> None:
    curve = [
        {"step": 0, "validation_loss": 9.0, "validation_rougeL": 0.1, "validation_cer": 1.5},
        {"step": 1, "loss": 5.0},
        {"step": 1, "validation_loss": math.nan, "validation_rougeL": 0.4, "validation_cer": 0.5},
    ]
    assert read_scores(curve, "rouge") == {0: -0.1, 1: -0.4}
    assert read_scores(curve, "cer") == {0: 1.5, 1: 0.5}
    assert read_scores(curve, "loss") == {0: 9.0, 1: math.inf}
    assert read_scores(curve, "wer") == {}


@pytest.mark.parametrize(
    ("changes", "best", "stopping"),
    [
        ({}, "loss", "loss"),
        ({"bestMetric": "cer"}, "cer", "cer"),
        ({"earlyStopping": {"patience": 2, "metric": "cer"}}, "cer", "cer"),
        ({"bestMetric": "rouge", "earlyStopping": {"patience": 2}}, "rouge", "rouge"),
        ({"bestMetric": "rouge", "earlyStopping": {"patience": 2, "metric": "cer"}}, "rouge", "cer"),
    ],
)
def test_one_metric_decides_both_unless_two_are_named(changes: dict[str, Any], best: str, stopping: str) -> None:
    chosen = settings(**changes)
    assert (choose_best_metric(chosen), choose_stopping_metric(chosen)) == (best, stopping)


@pytest.mark.parametrize(
    ("changes", "keep_best", "has_samples", "message"),
    [
        ({"bestMetric": "wer"}, True, True, r"spec\.evaluation\.bestMetric: wer must also be in"),
        ({"earlyStopping": {"patience": 1, "metric": "wer"}}, True, True, r"earlyStopping\.metric: wer must also"),
        ({"earlyStopping": {"patience": 1}}, False, True, r"spec\.checkpoint\.keepBest: must be true"),
        ({"earlyStopping": {"patience": 1}}, True, False, "there is nothing to evaluate on"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], keep_best: bool, has_samples: bool, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_ranking(settings(**changes), keep_best=keep_best, has_samples=has_samples)
    check_ranking(settings(), keep_best=False, has_samples=False)
