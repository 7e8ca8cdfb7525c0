"""CPU-seconds of small requests."""

import pytest

from deepsynth_operator.decisions.shared.usage import measure_usage


@pytest.mark.parametrize(("cpus", "seconds", "expected"), [("10m", 90, 1), ("10m", 40, 0), ("250m", 7, 2), ("2", 3, 6)])
def test_cpu_seconds_are_rounded_and_not_cut(cpus: str, seconds: int, expected: int) -> None:
    assert measure_usage(cpus, None, seconds, 0)["cpu_seconds"] == expected
