import pytest

from deepsynth_api.delays import compute_delay


@pytest.mark.parametrize(
    ("failures", "delay"), [(-1, 10), (0, 10), (1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (8, 600), (10**9, 600)]
)
def test_the_delay_doubles_with_each_failure_up_to_the_limit(failures: int, delay: float) -> None:
    assert compute_delay(failures, first=10, longest=600) == delay


def test_the_limit_also_holds_for_the_first_delay() -> None:
    assert compute_delay(1, first=10, longest=5) == 5
