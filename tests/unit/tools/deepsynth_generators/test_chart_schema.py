"""What jobs.defaults may hold, in the schema of the chart's values: the fields and rules of the operator."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from deepsynth_generators.chart_schema import build_definition, format_json, main, render_schema


def list_nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    below = [*node.get("properties", {}).values(), node.get("items"), node.get("additionalProperties")]
    for child in below:
        if isinstance(child, Mapping):
            yield from list_nodes(child)


def test_the_schema_is_up_to_date() -> None:
    assert main(["--check"]) == 0, "run `make chart-rules`"


def test_a_changed_definition_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("deepsynth_generators.chart_schema.TOLERATION_OPERATORS", ("Equal",))
    assert main(["--check"]) == 1
    assert "run `make chart-rules`" in capsys.readouterr().err


def test_a_schema_without_the_definition_is_an_error() -> None:
    with pytest.raises(ValueError, match="lacks the definition jobTemplate"):
        render_schema('{"definitions": {}}')


def test_no_object_takes_an_unknown_field() -> None:
    nodes = [node for node in list_nodes(build_definition()) if node.get("type") == "object"]
    assert len(nodes) > 20
    assert all("additionalProperties" in node for node in nodes)


def test_names_keep_their_patterns_and_quantities_are_numbers_or_strings() -> None:
    fields = build_definition()["properties"]
    assert fields["schedulerName"]["pattern"].startswith("^([a-z0-9]")
    limit = fields["volumes"]["items"]["properties"]["emptyDir"]["properties"]["sizeLimit"]
    assert limit["type"] == ["integer", "string"]


def test_what_fits_into_a_line_takes_one() -> None:
    long = {"a": ["x" * 60, "y" * 60], "b": {"c": 1}}
    assert list(format_json(long, indent=0, used=0)) == [
        "{",
        '  "a": [',
        f'    "{"x" * 60}",',
        f'    "{"y" * 60}"',
        "  ],",
        '  "b": {"c": 1}',
        "}",
    ]
