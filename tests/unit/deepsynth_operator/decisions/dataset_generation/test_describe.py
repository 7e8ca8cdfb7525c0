import pytest

from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows, GenerationProgress
from deepsynth_operator.decisions.dataset_generation.describe import describe_dropped


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({}, ""),
        ({"Duplicate": 3}, "; 3 rows dropped: 3 Duplicate"),
        ({"A": 1, "B": 9, "C": 5, "D": 2}, "; 17 rows dropped: 9 B, 5 C, 2 D, and others"),
    ],
)
def test_a_complete_generation_says_what_it_dropped(counts: dict[str, int], text: str) -> None:
    dropped = [DroppedRows(reason=reason, rows=rows) for reason, rows in counts.items()]
    assert describe_dropped(GenerationProgress(dropped=dropped)) == text


def test_without_progress_there_is_nothing_to_say() -> None:
    assert describe_dropped(None) == ""
