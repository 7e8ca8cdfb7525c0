"""What a user may store in a resource has an upper limit in every field, and altogether."""

import json
from typing import Any

import pytest

from deepsynth_api.crd.schema import build_schema
from deepsynth_api.errors import ConfigurationError
from deepsynth_api.kinds import KINDS
from deepsynth_client.manifest_file import parse_manifests
from deepsynth_local.admission.admit import admit
from support.resources.builders import a_training_run
from support.tenants.schema_bounds import find_unbounded, list_nodes, measure_largest

UNBOUNDED = {
    "metadata": "the API server limits names, labels and annotations; the operator keeps none but the first two",
    "status": "only the operator writes it, within a budget of its own",
    "apiVersion": "one value",
    "kind": "one value",
}
REQUIREMENT = {"key": "zone", "operator": "In"}
NODES = "requiredDuringSchedulingIgnoredDuringExecution"


def spec_of(kind: str) -> dict[str, Any]:
    schema = build_schema(kind)["properties"]
    assert schema.keys() == {"spec"} | UNBOUNDED.keys()
    spec: dict[str, Any] = schema["spec"]
    return spec


def admit_template(**template: Any) -> None:
    manifest = {**a_training_run().with_template(**template).without().to_manifest()}
    manifest.pop("status")
    manifest["metadata"] = {"name": "hostile"}
    admit(parse_manifests(json.dumps(manifest), "x.yaml")[0], None)


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_list_and_map_of_a_spec_has_an_upper_limit(kind: str) -> None:
    assert find_unbounded(spec_of(kind)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_part_of_a_spec_is_open(kind: str) -> None:
    nodes = list_nodes(spec_of(kind))
    assert [path for path, node in nodes if "x-kubernetes-preserve-unknown-fields" in node] == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_operator_keeps_of_a_spec_is_small(kind: str) -> None:
    """All but the template, of which it keeps only numbers."""
    kept = {name: node for name, node in spec_of(kind)["properties"].items() if name != "template"}
    assert sum(map(measure_largest, kept.values())) < 131_072


def values(count: int) -> list[dict[str, Any]]:
    return [{"matchExpressions": [{**REQUIREMENT, "values": [str(number) for number in range(count)]}]}]


@pytest.mark.parametrize(
    "template",
    [
        {"affinity": {"nodeAffinity": {NODES: {"nodeSelectorTerms": values(256)}}}},
        {"env": [{"name": f"A{number}", "value": "x" * 4096} for number in range(16)]},
        {"annotations": {f"a{number}": "x" * 4096 for number in range(8)}},
        {
            "topologySpreadConstraints": [
                {
                    "topologyKey": f"zone{n}",
                    "whenUnsatisfiable": "DoNotSchedule",
                    "maxSkew": 1,
                    "minDomains": 2,
                    "matchLabelKeys": ["pod-template-hash"],
                    "labelSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a"]}]},
                }
                for n in range(8)
            ]
        },
        {"schedulerName": "volcano", "runtimeClassName": "nvidia"},
        {"resourceClaims": [{"name": f"c{n}", "resourceClaimTemplateName": "gpu.example"} for n in range(8)]},
        {"tolerations": [{"key": "x", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}]},
        {
            "volumes": [
                {"name": f"v{n}", "mountPath": f"/v{n}", "csi": {"driver": "d", "volumeAttributes": {"a": "b"}}}
                for n in range(32)
            ]
        },
    ],
)
def test_a_large_template_is_admitted(template: dict[str, Any]) -> None:
    admit_template(**template)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            {"affinity": {"nodeAffinity": {NODES: {"nodeSelectorTerms": values(200) + values(200)}}}},
            "values of all terms must be at most 256 together",
        ),
        (
            {"env": [{"name": f"A{number}", "value": "x" * 4096} for number in range(17)]},
            "characters of all values must be at most 65,536 together",
        ),
        (
            {"annotations": {f"a{number}": "x" * 4096 for number in range(9)}},
            "characters of all annotations must be at most 32,768 together",
        ),
        (
            {
                "volumes": [
                    {
                        "name": f"v{n}",
                        "mountPath": f"/v{n}",
                        "csi": {"driver": "d", "volumeAttributes": {f"a{k}": "b" for k in range(30)}},
                    }
                    for n in range(3)
                ]
            },
            "volumeAttributes of all volumes must be at most 64 together",
        ),
        (
            {
                "volumes": [
                    {
                        "name": f"v{n}",
                        "mountPath": f"/v{n}",
                        "configMap": {"items": [{"key": str(k), "path": str(k)} for k in range(32)]},
                    }
                    for n in range(5)
                ]
            },
            "items of all volumes must be at most 128 together",
        ),
        (
            {"volumes": [{"name": f"v{n}", "mountPath": f"/v{n}", "ephemeral": {}} for n in range(5)]},
            "at most 4 volumes may be ephemeral",
        ),
        (
            {
                "affinity": {
                    kind: {
                        NODES: [{"topologyKey": "zone"}] * 4,
                        "preferred" + NODES[8:]: [{"weight": 1, "podAffinityTerm": {"topologyKey": "zone"}}],
                    }
                    for kind in ("podAffinity", "podAntiAffinity")
                }
            },
            "podAffinity and podAntiAffinity may have at most 8 terms together",
        ),
        ({"affinity": {"nodeAffinity": {"x": "y" * 10_000}}}, "unknown field"),
        ({"resources": {"limits": {"x" * 400 + "/y": 1}}}, "keys must have at most 317 characters"),
        ({"volumes": [{"name": "v", "mountPath": "/v", "emptyDir": {"sizeLimit": "1e999999"}}]}, "must be a quantity"),
    ],
)
def test_a_template_that_is_too_large_is_refused(template: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        admit_template(**template)
    assert message in refused.value.message


@pytest.mark.parametrize("quantity", ["1e999999", "1e-999999", "9" * 33, "1e100"])
def test_a_quantity_that_takes_long_to_compute_with_is_refused(quantity: str) -> None:
    with pytest.raises(ConfigurationError):
        admit_template(volumes=[{"name": "v", "mountPath": "/v", "emptyDir": {"sizeLimit": quantity}}])
