"""`deepsynth local` admits exactly what the API server admits, for odd values in every field."""

import copy
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from deepsynth_api.crd.schema import build_schema
from deepsynth_api.errors import ConfigurationError
from deepsynth_api.kinds import GROUP, KINDS, VERSION
from deepsynth_client.manifest_file import parse_manifests
from deepsynth_cluster.clusters.clients import Clients
from deepsynth_local.admission.admit import admit
from support.resources.bad_specs import VALID, Kind

pytestmark = pytest.mark.slow

VALUES: tuple[Any, ...] = (
    0,
    -1,
    2**31,
    1.5,
    True,
    "",
    "1",
    "A b",
    "a\nb",
    "pvc://a/../b",
    [],
    ["a", "a"],
    {},
    {"a": 1},
    None,
)
ITEM = "[]"
REQUESTS_AT_ONCE = 4
Path = tuple[str, ...]


def list_paths(schema: dict[str, Any], above: Path = ()) -> Iterator[Path]:
    for name, child in schema.get("properties", {}).items():
        yield (*above, name)
        yield from list_paths(child, (*above, name))
        yield from list_paths(child.get("items", {}), (*above, name, ITEM))


def place(resource: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """A copy of the resource with `value` at `path` of its spec, in the first item of each list on the way."""
    placed = copy.deepcopy(resource)
    below: Any = placed["spec"]
    for part, following in pairwise(path):
        if part == ITEM:
            below = below[0]
        elif following == ITEM:
            below = below.get(part) or below.setdefault(part, [{}])
        else:
            below = below.setdefault(part, {})
    below[path[-1]] = value
    return placed


def is_admitted_here(resource: dict[str, Any]) -> bool:
    try:
        admit(parse_manifests(json.dumps(resource), "placed.yaml")[0])
    except ConfigurationError:
        return False
    return True


def is_admitted_there(api: client.CustomObjectsApi, resource: dict[str, Any]) -> bool:
    options: Any = {"dry_run": "All", "field_validation": "Strict"}
    plural = KINDS[resource["kind"]].plural
    try:
        api.create_namespaced_custom_object(GROUP, VERSION, "default", plural, resource, **options)
    except ApiException as error:
        if error.status not in {400, 422}:
            raise
        return False
    return True


@pytest.mark.parametrize("kind", VALID)
def test_both_admit_and_refuse_the_same_values_in_every_field(api_server: Clients, kind: Kind) -> None:
    api = client.CustomObjectsApi(config.new_client_from_config(str(api_server.kubeconfig)))
    paths = list(list_paths(build_schema(kind)["properties"]["spec"]))
    placed = [(path, value, place(VALID[kind], path, value)) for path in paths for value in VALUES]
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        there = pool.map(lambda item: is_admitted_there(api, item[2]), placed)
        differences = [
            (".".join(path), value)
            for (path, value, resource), admitted in zip(placed, there, strict=True)
            if is_admitted_here(resource) != admitted
        ]
    assert differences == []
