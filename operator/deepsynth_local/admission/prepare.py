"""Decide what one command runs: the resources of its files as admitted, and those of earlier runs they need."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deepsynth_api.errors import ConfigurationError
from deepsynth_local.admission.admit import admit
from deepsynth_local.admission.local_checks import Resource, check_gpus, check_references
from deepsynth_local.admission.manifest_file import Manifest
from deepsynth_local.runs.resource_store import DEFAULT_NAMESPACE, ResourceStore
from deepsynth_operator.controller.references import find_references
from deepsynth_simulator.object_store import ObjectKey, key_of


@dataclass(frozen=True)
class Plan:
    """applied: resources of the files, as stored. earlier: all resources of the runs folder, with their status.

    active: keys of what is to run: the applied ones and, whatever file they came from, those they wait for.
    """

    applied: Mapping[ObjectKey, Resource]
    earlier: Mapping[ObjectKey, Resource]
    active: tuple[ObjectKey, ...]


def prepare(manifests: Iterable[Manifest], store: ResourceStore, gpus: int) -> Plan:
    """Admit the manifests against what the store holds.

    Raises ConfigurationError that tells all problems of all resources at once.
    """
    earlier = {key_of(resource): resource for resource in store.list_all()}
    applied: dict[ObjectKey, Resource] = {}
    problems: list[str] = []
    for manifest in manifests:
        try:
            key, resource = _admit(manifest, earlier)
            check_gpus(resource, gpus)
        except ConfigurationError as error:
            problems.append(error.message)
            continue
        if key in applied:
            problems.append(f'{manifest.file}: {key.kind} "{key.name}" is in these files twice; remove one')
        applied[key] = resource
    if problems:
        raise ConfigurationError("\n".join(problems))
    known = {**earlier, **applied}
    active = _collect_active(applied, known)
    check_references([known[key] for key in active], known)
    return Plan(applied, earlier, tuple(active))


def _admit(manifest: Manifest, earlier: Mapping[ObjectKey, Resource]) -> tuple[ObjectKey, Resource]:
    """The resource as stored, checked against the earlier one of its name."""
    kind, metadata = manifest.value.get("kind"), manifest.value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    namespace = (metadata.get("namespace") if isinstance(metadata, dict) else None) or DEFAULT_NAMESPACE
    old = earlier.get(ObjectKey(str(kind), str(namespace), str(name)))
    try:
        resource = admit(manifest, old)
    except ConfigurationError as error:
        if old is None:
            raise
        remedy = f"or start over under this name: deepsynth delete {str(kind).lower()} {name}"
        raise ConfigurationError(f"{error.message}\n  {remedy}") from error
    return key_of(resource), resource


def _collect_active(applied: Mapping[ObjectKey, Resource], known: Mapping[ObjectKey, Resource]) -> dict[ObjectKey, None]:
    """The applied resources after those they refer to."""
    active: dict[ObjectKey, None] = {}

    def add(key: ObjectKey) -> None:
        if key not in known or key in active:
            return
        for _, reference in find_references(known[key]):
            add(reference)
        active[key] = None

    for key in applied:
        add(key)
    return active
