"""The generated CRDs are structural schemas that the API server accepts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.crd.change_rules import SETTINGS_THAT_MAY_CHANGE, SPEC_FIELDS_THAT_MAY_CHANGE
from deepsynth_api.crd.schema import build_crd, build_schema
from deepsynth_api.kinds import KINDS

README = Path(__file__).parents[3] / "README.md"

Node = dict[str, Any]


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from walk(node[key], f"{path}[]")


def spec_of(kind: str) -> Node:
    spec: Node = build_schema(kind)["properties"]["spec"]
    return spec


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_uses_no_keyword_that_a_structural_schema_forbids(kind: str) -> None:
    forbidden = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "const", "title", "exclusiveMinimum", "prefixItems"}
    for path, node in walk(build_schema(kind)):
        assert not forbidden & node.keys(), path
        assert node.get("additionalProperties") not in (True, False), path


@pytest.mark.parametrize("kind", KINDS)
def test_every_node_has_a_type_or_is_an_int_or_string(kind: str) -> None:
    for path, node in walk(build_schema(kind)):
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path


@pytest.mark.parametrize("kind", KINDS)
def test_no_spec_has_a_float(kind: str) -> None:
    assert [path for path, node in walk(spec_of(kind)) if node.get("type") == "number"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_list_and_string_has_an_upper_bound(kind: str) -> None:
    for path, node in walk(spec_of(kind)):
        if node.get("type") == "array":
            assert "maxItems" in node, path
        if node.get("type") == "string" and "enum" not in node:
            assert "maxLength" in node, path


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_spec_is_immutable_unless_it_may_change(kind: str) -> None:
    (rule,) = build_schema(kind)["x-kubernetes-validations"]
    fixed, _, rest = rule["messageExpression"].partition("; create a new")
    at_rest = SETTINGS_THAT_MAY_CHANGE if kind == "TrainingRun" else ()
    for field in spec_of(kind)["properties"]:
        assert (f"'spec.{field} '" in fixed, f"'spec.{field} '" in rest) == (
            field not in SPEC_FIELDS_THAT_MAY_CHANGE and field not in at_rest,
            field in at_rest,
        ), field


@pytest.mark.parametrize("kind", KINDS)
def test_writes_of_status_are_not_charged_for_rules_about_changes(kind: str) -> None:
    rules = [rule["rule"] for _, node in walk(build_schema(kind)) for rule in node.get("x-kubernetes-validations", ())]
    (rule,) = [rule for rule in rules if "oldSelf" in rule]
    conditions = rule.split(" || ")
    assert "self.status.state != oldSelf.status.state" in conditions[0]
    assert "self.status.progress.updatedTime != oldSelf.status.progress.updatedTime" in conditions[1]
    assert conditions[2] == "self.spec == oldSelf.spec"


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_resource_does_not_count_as_reconciled(kind: str) -> None:
    assert build_schema(kind)["properties"]["status"]["default"] == {"observedGeneration": -1}


@pytest.mark.parametrize("kind", KINDS)
def test_every_printer_column_shows_an_existing_scalar(kind: str) -> None:
    version = build_crd(kind)["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    for column in version["additionalPrinterColumns"]:
        node = schema
        parts = column["jsonPath"].strip(".").split(".")
        if parts[0] == "metadata":
            continue
        for part in parts:
            node = node["properties"][part]
        assert node["type"] in {"string", "integer"}, column["name"]


def test_the_readme_shows_the_columns_of_a_training_run() -> None:
    columns = build_crd("TrainingRun")["spec"]["versions"][0]["additionalPrinterColumns"]
    narrow = [column["name"].upper() for column in columns if column["priority"] == 0]
    assert narrow == ["STATE", "PROGRESS", "STEP", "LOSS", "ETA", "CHECKPOINT", "RESTARTS", "AGE"]
    wide = [column["name"].upper() for column in columns if column["priority"] == 1]
    assert wide == ["BEST", "NODES", "DATASET", "SAMPLES/S", "MODEL", "REASON"]
    shown = [line.split() for line in README.read_text().splitlines()]
    assert ["NAME", *narrow, *wide] in shown
