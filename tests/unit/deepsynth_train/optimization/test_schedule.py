import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import OptimizerSettings
from deepsynth_train.optimization.schedule import compute_learning_rate, compute_warmup_steps


@pytest.mark.parametrize("name", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("warmup", [0, 3])
def test_learning_rates_equal_those_of_transformers(name: str, warmup: int) -> None:
    import torch
    from transformers import get_scheduler

    steps = 20
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    theirs = get_scheduler(
        "constant_with_warmup" if name == "constant" else name,
        optimizer,
        num_warmup_steps=warmup,
        num_training_steps=steps,
    )
    settings = OptimizerSettings.model_validate({"learningRate": "0.5", "schedule": name, "warmupSteps": warmup})
    for step in range(steps):
        assert compute_learning_rate(settings, step, steps) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()


def test_the_cosine_schedule_ends_near_zero_because_it_counts_optimizer_steps() -> None:
    settings = OptimizerSettings(learning_rate="1", schedule="cosine")
    assert compute_learning_rate(settings, 320, 320) == pytest.approx(0)
    assert compute_learning_rate(settings, 319, 320) < 1e-4


def test_a_warm_up_ratio_is_rounded_up_to_steps() -> None:
    assert compute_warmup_steps(OptimizerSettings(warmup_ratio="0.05"), 30) == 2


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (OptimizerSettings(warmup_steps=1, warmup_ratio="0.1"), "warmupSteps or warmupRatio"),
        (OptimizerSettings(warmup_steps=11), "warmupSteps"),
    ],
)
def test_an_invalid_warm_up_is_refused(settings: OptimizerSettings, field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        compute_warmup_steps(settings, 10)
