"""Write docs/reference/fields.md: every field of both kinds, with its values, its default and what it does or says.

PYTHONPATH=tools python -m deepsynth_generators.field_reference --write     write it
PYTHONPATH=tools python -m deepsynth_generators.field_reference --check     fail when it is out of date

The fields come from the schemas of the CRDs, so the page says what `kubectl explain` says, on one screen per topic.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from deepsynth_api.crd.schema import MAX_INTEGER, build_schema
from deepsynth_api.crd.size_rules import QUANTITY_RULE
from deepsynth_api.v1alpha1.shared.base import AUTO
from deepsynth_generators.generated_file import write_or_check

PAGE: Final = Path(__file__).parents[2] / "docs/reference/fields.md"

TOPICS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "TrainingRun": {
        "Model": ("model", "imageProcessor"),
        "Data and task": (
            "datasets",
            "task",
            "prompt",
            "maxLabelTokens",
            "maxSequenceTokens",
            "maxDroppedPercent",
            "maxSimilarityPercent",
        ),
        "Length and batches": ("epochs", "maxSteps", "globalBatchSize", "microBatchSize", "seed", "onNonFinite"),
        "Optimizer": ("optimizer",),
        "Memory and speed": ("precision", "sharding", "gradientCheckpointing", "compile"),
        "Evaluation": ("evaluation",),
        "Results": ("checkpoint", "publish", "tracking"),
        "Running on a cluster": (
            "numNodes",
            "elastic",
            "numProcPerNode",
            "resourcesPerNode",
            "scheduling",
            "cache",
            "image",
            "suspend",
            "backoffLimit",
            "startTimeoutSeconds",
            "hangTimeoutSeconds",
            "activeDeadlineSeconds",
            "ttlSecondsAfterFinished",
            "template",
        ),
    },
    "DatasetGeneration": {
        "Source": ("preset", "source", "filters"),
        "Pages": ("page", "fonts"),
        "Result": ("output", "rowsPerShard", "maxRefusedPercent"),
        "Running on a cluster": (
            "parallelism",
            "image",
            "suspend",
            "backoffLimitPerIndex",
            "maxFailedIndexes",
            "activeDeadlineSeconds",
            "ttlSecondsAfterFinished",
            "template",
        ),
    },
}
"""Kind -> topic -> fields of the spec, in the order in which a reader needs them."""

SHARED: Final = "template"
"""The same fields in both kinds: listed once, at the end."""

HEADER: Final = """\
# Fields

<!-- Written by `make fields` from operator/deepsynth_api/v1alpha1. Do not edit. -->

Every field of the `spec` of a [TrainingRun](#trainingrun) and of a [DatasetGeneration](#datasetgeneration), and of
their [pods](#pods); and every field of the `status` that the operator writes, for a
[TrainingRun](#status-of-a-trainingrun) and for a [DatasetGeneration](#status-of-a-datasetgeneration).

- On a cluster, `kubectl explain trainingruns.spec --recursive` and `kubectl explain trainingruns.status --recursive`
  list them.
- In Python, `help(TrainConfig)` lists those for training. Names are in snake_case there (`global_batch_size`), and
  numbers need no quotes.

A *quoted number* is written such as `"0.0002"`, because the Kubernetes API allows no decimal fractions in a spec.
A *quantity* is written as in pods, such as `8` or `40Gi`. `datasets[].name` is the field `name` of each dataset.
"""
FOOTER: Final = """
## Pods

Fields of `template`, the same for both resources.
"""
STATUS: Final = """
## Status of a {kind}

Written by the operator, and read-only for users. A field is missing until there is something to say.
"""
STATUS_TABLE: Final = "\n| field | values | meaning |\n|---|---|---|\n"
TABLE: Final = "\n| field | values | default | meaning |\n|---|---|---|---|\n"


def render_page() -> str:
    """The whole page, as Markdown."""
    parts = [HEADER]
    for kind, topics in TOPICS.items():
        spec = build_schema(kind)["properties"]["spec"]
        check_topics(kind, topics, spec["properties"])
        parts.append(f"\n## {kind}\n")
        for topic, fields in topics.items():
            parts += [f"\n### {topic}\n", TABLE, *describe_all(fields, spec)]
    template = build_schema("TrainingRun")["properties"]["spec"]["properties"][SHARED]
    parts += [FOOTER, TABLE, *describe_all(template["properties"], template, prefix=f"{SHARED}.")]
    for kind in TOPICS:
        status = build_schema(kind)["properties"]["status"]
        parts += [STATUS.format(kind=kind), STATUS_TABLE, *describe_status(status)]
    return "".join(parts)


def check_topics(kind: str, topics: Mapping[str, Sequence[str]], properties: Mapping[str, Any]) -> None:
    """Refuse a field that is in no topic, and a topic with a field that does not exist."""
    listed = [field for fields in topics.values() for field in fields]
    if missing := sorted(properties.keys() - set(listed)):
        raise ValueError(f"{kind}: {', '.join(missing)} must be in a topic of {__name__}.TOPICS")
    if unknown := sorted(set(listed) - properties.keys()):
        raise ValueError(f"{kind}: {__name__}.TOPICS names {', '.join(unknown)}, which the spec does not have")


def describe_all(names: Iterable[str], parent: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Rows of the table: these fields of `parent`, and all fields below them."""
    for name in names:
        node, path, required = parent["properties"][name], f"{prefix}{name}", name in parent.get("required", ())
        below = node["items"] if node.get("type") == "array" else node
        properties = below.get("properties", {}) if path != SHARED else {}
        if list(properties) == ["name"]:  # a reference: one row says all
            path, properties = f"{path}{_mark(node)}.name", {}
            node = node | {"type": "string"}
        yield _describe(path, node, required=required)
        yield from describe_all(properties, below, prefix=f"{path}{_mark(node)}.")


def describe_status(parent: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Rows of a table without defaults: all fields below `parent`."""
    for name, node in parent["properties"].items():
        path = f"{prefix}{name}"
        yield f"| `{path}` | {name_values(node)} | {_format_meaning(node)} |\n"
        below = node["items"] if node.get("type") == "array" else node
        if "properties" in below:
            yield from describe_status(below, prefix=f"{path}{_mark(node)}.")


def _format_meaning(node: Mapping[str, Any]) -> str:
    meaning: str = node["description"].partition(" Default: ")[0]
    return meaning.replace("|", "\\|")


def _mark(node: Mapping[str, Any]) -> str:
    return "[]" if node.get("type") == "array" else ""


def _describe(path: str, node: Mapping[str, Any], *, required: bool) -> str:
    default = "required" if required else _format_default(node)
    return f"| `{path}` | {name_values(node)} | {default} | {_format_meaning(node)} |\n"


def name_values(node: Mapping[str, Any]) -> str:
    """What a field can hold, in a few words: "integer, 1 to 1024", "`bf16`, `fp16`, `fp32`", "list of strings"."""
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return "quantity" if QUANTITY_RULE in node["x-kubernetes-validations"] else f"integer, 1 or more, or `{AUTO}`"
    match node["type"]:
        case "integer":
            return f"integer{_format_range(node)}"
        case "string" if node.get("format") == "date-time":
            return "time"
        case "string":
            return "quoted number" if _is_decimal(node) else "string"
        case "array" if "enum" in node["items"]:
            return f"list of {name_values(node['items'])}"
        case "array":
            word, _, limits = name_values(node["items"]).partition(",")
            return f"list of {word}s{limits and ',' + limits}"
        case "object" if "additionalProperties" in node:
            return f"map of names to {name_values(node['additionalProperties'])}s".replace("quantitys", "quantities")
        case kind:
            return str(kind)


def _format_range(node: Mapping[str, Any]) -> str:
    low, high = node.get("minimum"), node.get("maximum", MAX_INTEGER)
    if high != MAX_INTEGER:
        return f", {low:,} to {high:,}"
    return f", {low:,} or more" if low is not None else ""


def _is_decimal(node: Mapping[str, Any]) -> bool:
    """The CRD has numbers as strings with a rule that says so."""
    return any(rule["message"].startswith("must be a number") for rule in node.get("x-kubernetes-validations", ()))


def _format_default(node: Mapping[str, Any]) -> str:
    if "default" not in node:
        return ""
    value = node["default"]
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return ", ".join(f"`{item}`" for item in value) if isinstance(value, list) else f"`{value}`"


def main(arguments: Sequence[str] | None = None) -> int:
    fault = "the fields are out of date; run `make fields`"
    return write_or_check(arguments, PAGE, render_page(), what="docs/reference/fields.md", fault=fault)


if __name__ == "__main__":
    sys.exit(main())
