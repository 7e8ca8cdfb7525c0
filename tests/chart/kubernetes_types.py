"""Check the fields of a manifest, and the types of their values, against the types of the official client."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_SCALARS: Mapping[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "bool": bool,
    "float": (int, float),
    "object": object,
    "datetime": str,
}


def find_misfits(manifest: Mapping[str, Any]) -> list[str]:
    """One message per unknown field or wrong type: `Deployment.spec.replicas: must be int, got '2'`."""
    version = str(manifest["apiVersion"]).rpartition("/")[2]
    return list(_check(manifest, f"{version.capitalize()}{manifest['kind']}", str(manifest["kind"])))


def _check(value: Any, type_: str, path: str) -> Iterator[str]:
    if type_ in _SCALARS:
        if not isinstance(value, _SCALARS[type_]) or (type_ == "int" and value is True):
            yield f"{path}: must be {type_}, got {value!r}"
        return
    children = list(_list_children(value, type_, path))
    if not isinstance(value, list if type_.startswith("List") else dict):
        yield f"{path}: must be {type_}, got {value!r}"
    for item, item_type, item_path in children:
        if item_type:
            yield from _check(item, item_type, item_path)
        else:
            yield f"{item_path}: unknown field of {type_}"


def _list_children(value: Any, type_: str, path: str) -> Iterator[tuple[Any, str, str]]:
    """Value, type (empty for an unknown field) and path of each item in a list, a map or an object."""
    if found := re.fullmatch(r"(?:List\[|Dict\[str, )(.+)\]", type_):
        items = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else [])
        yield from ((item, found[1], f"{path}[{key}]") for key, item in items)
    elif isinstance(value, dict):
        from kubernetes import client  # 0.3 s of imports

        model = getattr(client, type_)
        types = {key: model.openapi_types[name] for name, key in model.attribute_map.items()}
        yield from ((item, types.get(key, ""), f"{path}.{key}") for key, item in value.items())
