"""Write what `jobs.defaults` may hold into the schema of the chart's values, from the type of spec.template.

PYTHONPATH=tools python -m deepsynth_generators.chart_schema --write     write charts/deepsynth/values.schema.json
PYTHONPATH=tools python -m deepsynth_generators.chart_schema --check     fail when it is out of date

Only the definition `jobTemplate` is generated; the rest of the file is written by hand. So Helm refuses what the
operator would refuse at its start, and names the field.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from deepsynth_api.crd.schema import MAX_ITEMS, MAX_LENGTH, MAX_PROPERTIES, build_schema
from deepsynth_api.v1alpha1.pod.pod_template import PodTemplate
from deepsynth_api.v1alpha1.shared.patterns import MAX_QUANTITY_LENGTH, QUANTITY
from deepsynth_api.workload import RESERVED_PREFIXES, RESERVED_VARIABLES
from deepsynth_generators.generated_file import write_or_check
from deepsynth_operator.core.job_defaults import FIELDS, KEY, MOUNT_FIELDS, TOLERATION_OPERATORS
from deepsynth_operator.manifests.volumes import CLAIM_PREFIX, OWN_NAMES

SCHEMA: Final = Path(__file__).parents[2] / "charts/deepsynth/values.schema.json"
NAME: Final = "jobTemplate"
_DEFINITION: Final = re.compile(rf'^    "{NAME}": .*?^    }}(?=,?$)', re.MULTILINE | re.DOTALL)
_WIDTH: Final = 120
_KEPT: Final = ("type", "enum", "required", "minimum", "maximum", "maxLength", "maxItems", "maxProperties")
_BOUNDS: Final = {"maxItems": MAX_ITEMS, "maxProperties": MAX_PROPERTIES, "maxLength": MAX_LENGTH}
"""Limits that every field of a resource has, because users are many. An administrator's defaults are one file."""
_RULE: Final = re.compile(r"self\.matches\('(.*)'\)", re.DOTALL)


def build_definition() -> dict[str, Any]:
    """A JSON schema of a template with defaults for Jobs."""
    spec = build_schema("TrainingRun")["properties"]["spec"]["properties"]
    names = sorted(str(PodTemplate.model_fields[field].alias) for field in FIELDS)
    template = {"type": "object", "properties": {name: spec["template"]["properties"][name] for name in names}}
    definition = _convert(template)
    fields = definition["properties"]
    for name in ("annotations", "labels", "nodeSelector"):
        values = fields[name]["additionalProperties"]
        fields[name] |= {"additionalProperties": False, "patternProperties": {f"^({KEY})$": values}}
    _add_variable_rules(fields["env"]["items"])
    _add_toleration_rules(fields["tolerations"]["items"])
    _add_volume_rules(fields["volumes"]["items"])
    return definition


def _convert(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node of a CRD as plain JSON schema: rules as patterns, no unknown fields, no descriptions."""
    if node.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"], "pattern": QUANTITY, "maxLength": MAX_QUANTITY_LENGTH}
    kept = {key: node[key] for key in _KEPT if key in node and node[key] != _BOUNDS.get(key)}
    for rule in node.get("x-kubernetes-validations", ()):
        if found := _RULE.fullmatch(rule["rule"]):
            kept["pattern"] = found[1].replace("\\\\", "\\")
    if "items" in node:
        kept["items"] = _convert(node["items"])
    if "additionalProperties" in node:
        kept["additionalProperties"] = _convert(node["additionalProperties"])
    elif "properties" in node:
        kept["additionalProperties"] = False
        kept["properties"] = {name: _convert(child) for name, child in node["properties"].items()}
    return kept


def _add_variable_rules(variable: dict[str, Any]) -> None:
    reserved = "|".join([*(f"{prefix}.*" for prefix in RESERVED_PREFIXES), *sorted(RESERVED_VARIABLES)])
    variable["properties"]["name"]["not"] = {"pattern": f"^({reserved})$"}
    _require_one(variable, {"value", "valueFrom"})
    variable["properties"]["valueFrom"] |= {"minProperties": 1, "maxProperties": 1}


def _add_volume_rules(volume: dict[str, Any]) -> None:
    own = "|".join([f"{CLAIM_PREFIX}.*", *sorted(OWN_NAMES)])
    volume["properties"]["name"]["not"] = {"pattern": f"^({own})$"}
    _require_one(volume, volume["properties"].keys() - MOUNT_FIELDS)


def _add_toleration_rules(toleration: dict[str, Any]) -> None:
    toleration["properties"]["operator"] = {"enum": list(TOLERATION_OPERATORS)}
    has_key = {"required": ["key"], "properties": {"key": {"minLength": 1}}}
    toleration["anyOf"] = [has_key, {"required": ["operator"], "properties": {"operator": {"const": "Exists"}}}]


def _require_one(node: dict[str, Any], names: set[str]) -> None:
    node["oneOf"] = [{"required": [name]} for name in sorted(names)]


def render_schema(text: str) -> str:
    """The whole file with the definition as it should be."""
    definition = f'    "{NAME}": ' + "\n".join(format_json(build_definition(), indent=4, used=len(NAME) + 4))
    if not _DEFINITION.search(text):
        raise ValueError(f"{SCHEMA.name}: lacks the definition {NAME}")
    return _DEFINITION.sub(lambda _: definition, text, count=1)


def format_json(value: Any, *, indent: int, used: int) -> Iterator[str]:
    """Lines of JSON. What fits into one line takes one. used: characters before it on the first line."""
    short = json.dumps(value)
    if indent + used + len(short) < _WIDTH or not isinstance(value, dict | list) or not value:
        yield short
        return
    is_map = isinstance(value, Mapping)
    yield "{" if is_map else "["
    for number, item in enumerate(value):
        label = f"{json.dumps(item)}: " if is_map else ""
        lines = list(format_json(value[item] if is_map else item, indent=indent + 2, used=len(label) + 1))
        lines[-1] += "," if number + 1 < len(value) else ""
        yield " " * (indent + 2) + label + lines[0]
        yield from lines[1:]
    yield " " * indent + ("}" if is_map else "]")


def main(arguments: Sequence[str] | None = None) -> int:
    expected = render_schema(SCHEMA.read_text(encoding="utf-8"))
    fault = "the definition of jobs.defaults is out of date; run `make chart-rules`"
    return write_or_check(arguments, SCHEMA, expected, what="what jobs.defaults of the chart may hold", fault=fault)


if __name__ == "__main__":
    sys.exit(main())
