import pytest

from deepsynth_local.report.sections import format_bytes


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (12_300_000, "12.3 MB"), (5e15, "5e+03 TB")])
def test_sizes_have_decimal_units(count: int, text: str) -> None:
    assert format_bytes(count) == text
