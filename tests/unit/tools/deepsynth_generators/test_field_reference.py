"""docs/reference/fields.md lists every field of both specs and of both statuses, as the CRDs have them."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from deepsynth_api.crd.schema import build_schema
from deepsynth_generators.field_reference import PAGE, TOPICS, check_topics, describe_all, main, render_page

SPEC = build_schema("TrainingRun")["properties"]["spec"]


def test_the_page_is_up_to_date() -> None:
    assert main(["--check"]) == 0, "run `make fields`"


def test_a_changed_page_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("deepsynth_generators.field_reference.TOPICS", {})
    assert main(["--check"]) == 1
    assert "run `make fields`" in capsys.readouterr().err


def test_a_row_has_values_default_and_meaning() -> None:
    rows = dict(row.split(" | ", 1) for row in render_page().splitlines() if row.startswith("| `"))
    assert rows["| `model.lora.rank`"].startswith("integer, 1 to 1,024 | `16` | Rank of the adapters.")
    assert rows["| `optimizer.betas`"].startswith("list of quoted numbers | `0.9`, `0.999` |")
    assert rows["| `evaluation.earlyStopping.patience`"].startswith("integer, 1 or more | required |")
    assert rows["| `datasets[].datasetGenerationRef.name`"].startswith("string |  | Wait for this DatasetGeneration")
    assert "Default:" not in PAGE.read_text()


@pytest.mark.parametrize("kind", TOPICS)
def test_every_field_of_the_status_has_a_row(kind: str) -> None:
    section = render_page().partition(f"## Status of a {kind}\n")[2].partition("\n## ")[0]
    rows = [row.split(" | ")[0].strip("| `") for row in section.splitlines() if row.startswith("| `")]
    assert rows == list(list_paths(build_schema(kind)["properties"]["status"]))


def list_paths(node: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, child in node.get("properties", {}).items():
        yield f"{above}{name}"
        mark = "[]" if "items" in child else ""
        yield from list_paths(child.get("items", child), f"{above}{name}{mark}.")


def test_a_row_of_the_status_has_values_and_meaning() -> None:
    rows = dict(row.split(" | ", 1) for row in render_page().splitlines() if row.startswith("| `"))
    assert rows["| `attempts[].outcome`"].startswith("`Succeeded`, `Failed`, ")
    assert rows["| `attempts[].endTime`"].startswith("time | When the attempt was over.")


def test_a_field_without_a_topic_is_refused() -> None:
    topics = {topic: fields for topic, fields in TOPICS["TrainingRun"].items() if topic != "Optimizer"}
    with pytest.raises(ValueError, match="TrainingRun: optimizer must be in a topic"):
        check_topics("TrainingRun", topics, SPEC["properties"])


def test_a_topic_with_a_field_that_does_not_exist_is_refused() -> None:
    topics = {**TOPICS["TrainingRun"], "More": ("batchSize",)}
    with pytest.raises(ValueError, match="names batchSize, which the spec does not have"):
        check_topics("TrainingRun", topics, SPEC["properties"])


def test_the_fields_of_pods_are_the_same_in_both_kinds() -> None:
    """So the page lists them once."""
    rows = [
        list(describe_all(template["properties"], template))
        for kind in TOPICS
        for template in [build_schema(kind)["properties"]["spec"]["properties"]["template"]]
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) > 20
