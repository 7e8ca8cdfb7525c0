"""Builds the CustomResourceDefinitions from the pydantic models. `files.py` writes them to disk.

Pydantic's JSON schema is rewritten into a structural schema, which is all that a CRD may contain:

    $ref                        the definition itself, inlined
    anyOf: [string, null]       string, not required
    title, empty default        dropped
    integer, string, array      with an upper bound
    pattern                     a CEL rule with a readable message
"""

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from deepsynth_api.crd.change_rules import build_change_rule
from deepsynth_api.crd.rules import DATASET_GENERATION_RULES, TRAINING_RUN_RULES
from deepsynth_api.crd.size_rules import KEY_RULE, QUANTITY_RULE, SIZE_RULES
from deepsynth_api.kinds import API_VERSION, GROUP, KINDS, VERSION
from deepsynth_api.v1alpha1.shared.patterns import MAX_QUANTITY_LENGTH, REMEDY

NEW_STATUS: Final = {"observedGeneration": -1}
"""Status of a resource that the operator has not seen yet, so that kstatus does not consider it complete."""
MAX_ITEMS: Final = 64
MAX_PROPERTIES: Final = 64
MAX_LENGTH: Final = 4096
MAX_INTEGER: Final = 2**31 - 1
_INT_OR_STRING_KEYWORDS: Final = (
    "description",
    "default",
    "x-kubernetes-int-or-string",
    "maxLength",
    "x-kubernetes-validations",
)

Schema = dict[str, Any]
Column = tuple[str, str, str, int]

RULES: Final = {"DatasetGeneration": DATASET_GENERATION_RULES, "TrainingRun": TRAINING_RUN_RULES}

COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    "TrainingRun": (
        ("State", "string", ".status.state", 0),
        ("Progress", "string", ".status.summary.progress", 0),
        ("Step", "string", ".status.summary.step", 0),
        ("Loss", "string", ".status.summary.loss", 0),
        ("ETA", "string", ".status.summary.eta", 0),
        ("Checkpoint", "string", ".status.summary.checkpoint", 0),
        ("Restarts", "integer", ".status.restarts", 0),
        ("Age", "date", ".metadata.creationTimestamp", 0),
        ("Best", "string", ".status.summary.best", 1),
        ("Nodes", "string", ".status.summary.nodes", 1),
        ("Dataset", "string", ".status.summary.dataset", 1),
        ("Samples/s", "string", ".status.summary.samplesPerSecond", 1),
        ("Model", "string", ".status.summary.model", 1),
        ("Reason", "string", ".status.summary.reason", 1),
    ),
    "DatasetGeneration": (
        ("State", "string", ".status.state", 0),
        ("Progress", "string", ".status.summary.progress", 0),
        ("Shards", "string", ".status.summary.shards", 0),
        ("Pages", "string", ".status.summary.pages", 0),
        ("ETA", "string", ".status.summary.eta", 0),
        ("Age", "date", ".metadata.creationTimestamp", 0),
        ("Pages/s", "string", ".status.summary.rate", 1),
        ("Source", "string", ".status.summary.source", 1),
        ("Output", "string", ".status.summary.output", 1),
        ("Reason", "string", ".status.summary.reason", 1),
    ),
}


class _SchemaGenerator(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        """Without a serializer for each default, which takes most of the time. Those that are objects are dropped."""
        if isinstance(dft, BaseModel):
            return {}
        return dft if isinstance(dft, str | int) else super().encode_default(dft)


def build_crd(kind: str) -> Schema:
    """The CustomResourceDefinition of a kind, DatasetGeneration or TrainingRun, as a dict."""
    names = KINDS[kind]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": names.full_name},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": names.plural,
                "singular": names.singular,
                "shortNames": [names.short_name],
                "categories": ["deepsynth"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": ".status.state"}],
                    "additionalPrinterColumns": build_columns(kind),
                    "schema": {"openAPIV3Schema": build_schema(kind)},
                }
            ],
        },
    }


def build_columns(kind: str) -> list[dict[str, Any]]:
    """The columns that `kubectl get` prints, without the rest of the CRD, which takes a tenth of a second to build."""
    return [
        {"name": name, "type": type_, "jsonPath": path, "priority": priority}
        for name, type_, path, priority in COLUMNS[kind]
    ]


def build_schema(kind: str) -> Schema:
    """The structural schema of a kind, with its CEL rules."""
    raw = KINDS[kind].resource.model_json_schema(schema_generator=_SchemaGenerator)
    schema = _rewrite(raw, raw.get("$defs", {}))
    properties = schema["properties"]
    properties["apiVersion"] = {"type": "string", "description": f"Version of this schema: {API_VERSION}."}
    properties["kind"] = {"type": "string", "description": f"Kind of this resource: {kind}."}
    properties["metadata"] = {"type": "object"}
    properties["status"]["default"] = dict(NEW_STATUS)
    schema["required"] = ["spec"]
    _bound(properties["spec"])
    _explain_patterns(properties["spec"])
    _append_defaults(properties["spec"])
    for rule in (*RULES[kind], *SIZE_RULES, build_change_rule(kind, properties["spec"]["properties"])):
        _find(schema, rule.path).setdefault("x-kubernetes-validations", []).append(rule.to_dict())
    return schema


def _rewrite(node: Schema, definitions: Schema) -> Schema:
    """One schema node in the structural form that a CRD allows."""
    node = dict(node)
    if "$ref" in node:
        target = definitions[node.pop("$ref").rsplit("/", 1)[-1]]
        node = {**target, **node}
    if "allOf" in node and len(node["allOf"]) == 1:
        node = {**_rewrite(node.pop("allOf")[0], definitions), **node}
    if node.get("x-kubernetes-int-or-string"):
        kept: Schema = {key: node[key] for key in _INT_OR_STRING_KEYWORDS if key in node}
        kept.setdefault("maxLength", MAX_QUANTITY_LENGTH)
        kept.setdefault("x-kubernetes-validations", [dict(QUANTITY_RULE)])
        return _drop_noise(kept)
    if "anyOf" in node:
        node = _without_null(node, definitions)
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if "items" in node:
        node["items"] = _rewrite(node["items"], definitions)
    if "properties" in node:
        node["properties"] = {name: _rewrite(child, definitions) for name, child in node["properties"].items()}
        node.pop("additionalProperties", None)
    if isinstance(node.get("additionalProperties"), dict):
        node["additionalProperties"] = _rewrite(node["additionalProperties"], definitions)
    elif node.get("additionalProperties") is True:
        node.pop("additionalProperties")
    return _drop_noise(node)


def _without_null(node: Schema, definitions: Schema) -> Schema:
    options = [option for option in node.pop("anyOf") if option.get("type") != "null"]
    if len(options) != 1:
        raise ValueError(f"a union cannot be written as a structural schema: {options}")
    return {**_rewrite(options[0], definitions), **node}


def _drop_noise(node: Schema) -> Schema:
    for key in ("title", "$defs"):
        node.pop(key, None)
    if "default" in node and (node["default"] in (None, "", [], {}) or isinstance(node["default"], dict)):
        node.pop("default")
    if node.get("format") == "date-time" or node.get("type") != "integer":
        return node
    return {**node, "format": "int64"}


def _bound(node: Schema) -> None:
    """Give every node an upper bound: unbounded nodes make CEL rules too costly, and huge seconds overflow a time."""
    match node.get("type"):
        case "array":
            node.setdefault("maxItems", MAX_ITEMS)
            _bound(node["items"])
        case "integer":
            node.setdefault("maximum", MAX_INTEGER)
        case "string" if "enum" not in node and "format" not in node:
            node.setdefault("maxLength", MAX_LENGTH)
        case "object":
            for child in node.get("properties", {}).values():
                _bound(child)
            if "additionalProperties" in node:
                node.setdefault("maxProperties", MAX_PROPERTIES)
                node.setdefault("x-kubernetes-validations", []).append(dict(KEY_RULE))
                _bound(node["additionalProperties"])


def _explain_patterns(node: Schema) -> None:
    """Replace each pattern by a CEL rule with a message, because the API server would show only the pattern."""
    if "pattern" in node:
        pattern = node.pop("pattern").replace("\\", "\\\\")
        rule = {"rule": f"self.matches('{pattern}')", "message": node.pop(REMEDY)}
        node["x-kubernetes-validations"] = [rule]
    children = [*node.get("properties", {}).values(), node.get("items"), node.get("additionalProperties")]
    for child in children:
        if child is not None:
            _explain_patterns(child)


def _append_defaults(node: Schema) -> None:
    """Add each default to its description, because `kubectl explain` does not show defaults."""
    for child in node.get("properties", {}).values():
        if "default" in child:
            child["description"] = f"{child['description']} Default: {_format_default(child['default'])}."
        _append_defaults(child)
    if "items" in node:
        _append_defaults(node["items"])


def _format_default(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_format_default(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _find(schema: Schema, path: str) -> Schema:
    for part in path.split(".") if path else []:
        schema = schema["properties"][part.removesuffix("[]")]
        if part.endswith("[]"):
            schema = schema["items"]
    return schema
