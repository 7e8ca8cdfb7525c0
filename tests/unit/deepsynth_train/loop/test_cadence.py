import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import CheckpointSettings
from deepsynth_train.loop.cadence import Cadence, compute_total_steps
from support.training.train_workloads import build_settings


def build_cadence(evaluate_every: int | None = None, **checkpoint: int) -> Cadence:
    settings = CheckpointSettings.model_validate({"uri": "file:///x", **checkpoint})
    return Cadence(10, epoch_length=8, global_batch_size=4, evaluate_every=evaluate_every, checkpoint=settings)


def test_steps_cover_every_sample_of_every_epoch() -> None:
    assert compute_total_steps(build_settings(epochs=2, global_batch_size=4), 9) == 5
    assert compute_total_steps(build_settings(global_batch_size=4), 9) == 3
    assert compute_total_steps(build_settings(max_steps=7), 9) == 7


def test_epochs_and_max_steps_together_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="epochs or maxSteps"):
        compute_total_steps(build_settings(epochs=1, max_steps=1), 9)


def test_evaluations_are_due_at_epoch_ends_or_every_n_steps_and_always_at_the_end() -> None:
    assert [s for s in range(1, 11) if build_cadence().is_evaluation_due(s)] == [2, 4, 6, 8, 10]
    assert [s for s in range(1, 11) if build_cadence(3).is_evaluation_due(s)] == [3, 6, 9, 10]


def test_saves_follow_steps_or_the_clock_of_the_first_rank() -> None:
    by_step = build_cadence(everySteps=4)
    assert [s for s in range(1, 11) if by_step.is_save_due(s)] == [4, 8, 10]
    assert not by_step.wants_save(1e9)
    assert not build_cadence().wants_save(599)
    assert build_cadence().wants_save(600)
    assert build_cadence(everySeconds=5).wants_save(5)
