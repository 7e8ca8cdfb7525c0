"""`deepsynth get`: past and present runs, as `kubectl get` shows them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import yaml

from deepsynth_api.errors import WorkloadError
from deepsynth_api.kinds import KINDS
from deepsynth_api.reasons import Reason
from deepsynth_local.columns import build_table, format_table
from deepsynth_local.runs.resource_store import Resource, ResourceStore

Output = Literal["table", "wide", "yaml", "json"]

KIND_NAMES: Final[Mapping[str, str]] = {alias: kind.name for kind in KINDS.values() for alias in kind.aliases}
"""What may stand for a kind on the command line."""


class NotFoundError(WorkloadError):
    default_reason = Reason.NOT_FOUND


def get_resources(store: ResourceStore, kinds: list[str], name: str | None, output: Output) -> str:
    """The text to print; empty when there is nothing.

    Raises NotFoundError when `name` is given and no resource of these kinds has it.
    """
    found = {kind: _select(store.list_all(kind), name) for kind in kinds}
    resources = [resource for group in found.values() for resource in group]
    if name is not None and not resources:
        plurals = " or ".join(KINDS[kind].full_name for kind in kinds)
        raise NotFoundError(f'{plurals} "{name}" not found in {store.runs.path}; `deepsynth get` lists what is there')
    if output in ("yaml", "json"):
        return _dump(resources, single=name is not None and len(resources) == 1, output=output)
    now = datetime.now(UTC)
    tables = [build_table(kind, group, now, wide=output == "wide") for kind, group in found.items() if group]
    return "\n\n".join(format_table(table) for table in tables)


def _select(resources: list[Resource], name: str | None) -> list[Resource]:
    return [resource for resource in resources if name is None or resource["metadata"]["name"] == name]


def _dump(resources: list[Resource], *, single: bool, output: Output) -> str:
    document: Any = resources[0] if single else {"apiVersion": "v1", "kind": "List", "items": resources}
    if output == "json":
        return json.dumps(document, indent=4, ensure_ascii=False)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120).rstrip()
