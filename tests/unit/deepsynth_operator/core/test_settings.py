"""Settings of all resources: defaults, variables, and the error that names a wrong one."""

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_operator.core.settings import Settings


def test_without_variables_the_defaults_apply() -> None:
    assert Settings.from_environment({}) == Settings()


def test_every_variable_is_read() -> None:
    variables = {"DEEPSYNTH_RENDER_IMAGE": "cpu:1", "DEEPSYNTH_TRAIN_IMAGE": "gpu:1", "DEEPSYNTH_POLL_SECONDS": "3"}
    assert Settings.from_environment(variables) == Settings("cpu:1", "gpu:1", 3)


def test_a_poll_interval_that_is_not_a_positive_integer_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"^DEEPSYNTH_POLL_SECONDS: must be a positive integer, got '1.5'$"):
        Settings.from_environment({"DEEPSYNTH_POLL_SECONDS": "1.5"})
