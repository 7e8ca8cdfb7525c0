"""`deepsynth get` and `deepsynth delete`: resources of the runs folder, shown as by kubectl."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import yaml

from deepsynth_api.errors import WorkloadError
from deepsynth_api.kinds import KINDS
from deepsynth_api.reasons import Reason
from deepsynth_local.runs.columns import build_table, format_table
from deepsynth_local.runs.resource_store import DEFAULT_NAMESPACE, ResourceStore
from deepsynth_operator.core.observed import Manifest

Output = Literal["table", "wide", "yaml", "json"]

KIND_NAMES: Final[Mapping[str, str]] = {alias: kind.name for kind in KINDS.values() for alias in kind.aliases}
"""Names of a kind on the command line: trun, trainingrun, trainingruns, trainingruns.deepsynth.io -> TrainingRun."""


class NotFoundError(WorkloadError):
    """A resource that does not exist; the command fails as kubectl does, with exit code 1."""

    default_reason = Reason.NOT_FOUND


def get_resources(store: ResourceStore, kinds: Sequence[str], name: str | None, output: Output) -> str:
    """The text to print; empty when there are no resources.

    Raises NotFoundError when `name` is given and no resource of these kinds has it.
    """
    found = {kind: _select(store.list_all(kind), name) for kind in kinds}
    resources = [resource for group in found.values() for resource in group]
    if name is not None and not resources:
        plurals = " or ".join(KINDS[kind].full_name for kind in kinds)
        raise NotFoundError(f'{plurals} "{name}" not found in {store.runs.path}; `deepsynth get` lists all resources')
    if output in ("yaml", "json"):
        return _dump(resources, single=name is not None and len(resources) == 1, output=output)
    now = datetime.now(UTC)
    tables = [build_table(kind, group, now, wide=output == "wide") for kind, group in found.items() if group]
    return "\n\n".join(format_table(table) for table in tables)


def delete_resource(store: ResourceStore, kind: str, name: str) -> str:
    """Delete the resource but not its data; returns the text to print. Raises NotFoundError."""
    with store.runs.lock():
        if "/" in name or not store.delete(kind, DEFAULT_NAMESPACE, name):
            raise NotFoundError(f'{KINDS[kind].full_name} "{name}" not found in {store.runs.path}')
    return f'{KINDS[kind].singular} "{name}" deleted; its data in {store.runs.volumes} is kept'


def _select(resources: Sequence[Manifest], name: str | None) -> list[Manifest]:
    return [resource for resource in resources if name is None or resource["metadata"]["name"] == name]


def _dump(resources: Sequence[Manifest], *, single: bool, output: Output) -> str:
    document: Any = resources[0] if single else {"apiVersion": "v1", "kind": "List", "items": resources}
    if output == "json":
        return json.dumps(document, indent=4, ensure_ascii=False)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120).rstrip()
