import pytest

from deepsynth_api.v1alpha1 import DatasetGeneration
from deepsynth_client.report.sections import build_generation_section, format_bytes


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (12_300_000, "12.3 MB"), (5e15, "5e+03 TB")])
def test_sizes_have_decimal_units(count: int, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("density", "figures"),
    [
        (None, {}),
        (
            {
                "wordsPerPage": 1180,
                "charactersPerPage": 7000,
                "imageTokensPerPage": 256,
                "textTokensPerImageToken": "6.84",
            },
            {
                "Words per page": "1,180",
                "Characters per page": "7,000",
                "Text tokens per image token, estimated": "6.84",
            },
        ),
    ],
)
def test_a_published_dataset_shows_how_much_text_its_pages_hold(
    density: dict[str, object] | None, figures: dict[str, str]
) -> None:
    output = {"uri": "file:///pages", "revision": "r", "rows": 1, "pages": 2, "bytes": 3, "manifestSha256": "s"}
    resource = {
        "metadata": {"name": "pages"},
        "spec": {"source": {"uri": "docstrings://"}, "output": {"uri": "file:///pages"}},
        "status": {"output": {**output, "density": density}},
    }
    section = build_generation_section(DatasetGeneration.model_validate(resource), [])
    shown = {label: text for label, text in section.figures.items() if "per" in label and text}
    assert shown == figures
