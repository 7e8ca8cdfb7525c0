import pytest

from deepsynth_api.v1alpha1 import DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows, GenerationProgress, OutputStatus
from deepsynth_operator.decisions.dataset_generation.events import compute_generation_events


def build_status(dropped: int) -> DatasetGenerationStatus:
    progress = GenerationProgress(dropped=[DroppedRows(reason="TextTooShort", rows=dropped)])
    output = OutputStatus(uri="pvc://data/xsum", revision="v1", rows=10, pages=20, bytes=9, manifest_sha256="m")
    return DatasetGenerationStatus(progress=progress, output=output)


WARNING = (
    "only 10 of 21 rows became documents; 11 rows dropped: 11 TextTooShort; see spec.filters and spec.source.columns"
)


@pytest.mark.parametrize(("dropped", "messages"), [(10, []), (11, [WARNING])])
def test_a_warning_says_that_most_rows_were_dropped(dropped: int, messages: list[str]) -> None:
    status = build_status(dropped)
    events = compute_generation_events(status.updated(output=None), status)
    assert [event.message for event in events if event.reason == "ManyRowsDropped"] == messages
    assert compute_generation_events(status, status) == ()
