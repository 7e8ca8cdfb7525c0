import pytest

from deepsynth_api.report import parse_report


@pytest.mark.parametrize("text", ["", "Traceback (most recent call last)", '{"step": "other"}', "[]", "x" * 70_000])
def test_text_that_is_not_a_report_gives_none(text: str) -> None:
    assert parse_report(text) is None


@pytest.mark.parametrize(
    "part",
    [
        '"train": {"attempt": 1, "remainingSeconds": NaN}',
        '"train": {"attempt": 1, "remainingSeconds": 1e999}',
        '"train": {"attempt": 1, "step": 1000000000000000000000000000000}',
        f'"train": {{"attempt": 1, "step": {"9" * 310}}}',
        f'"train": {{"attempt": 1, "step": -{"9" * 4000}}}',
        f'"failure": {{"reason": "r", "message": "m", "exitCode": {"9" * 5000}}}',
        '"render": {"shard": 0, "pagesPerSecond": -Infinity}',
        '"train": {"attempt": 1, "checkpoints": [{"step": 1, "uri": "u", "time": "9999-12-31T23:59:59-12:00"}]}',
        '"train": {"attempt": 1, "checkpoints": [{"step": 1, "uri": "u", "time": "0001-01-01T00:00:00Z"}]}',
        '"train": {"attempt": 1, "checkpoints": [{"step": 1, "uri": "u", "time": "2026-01-02T03:04:05"}]}',
    ],
)
def test_a_report_with_a_number_or_a_time_out_of_range_gives_none(part: str) -> None:
    assert parse_report(f'{{"step": "train", "time": "2026-01-02T03:04:05Z", {part}}}') is None
