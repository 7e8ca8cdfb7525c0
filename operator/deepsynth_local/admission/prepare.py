"""Decide what one command runs: the resources of its files, admitted, and those of earlier runs they need."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deepsynth_api.errors import ConfigurationError
from deepsynth_client.manifest_file import ParsedManifest
from deepsynth_local.admission.admit import admit
from deepsynth_local.admission.local_checks import check_folders, check_gpus, check_references
from deepsynth_local.runs.resource_store import DEFAULT_NAMESPACE, ResourceStore, get_key
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_operator.controller.references import find_references
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey


@dataclass(frozen=True)
class AdmittedResources:
    """What one command works on.

    applied: the resources of its files, as the API server would store them.
    earlier: all resources of the runs folder, with their status.
    active: what is to run: the applied resources, each after those it refers to (which may be earlier ones).
    """

    applied: Mapping[ResourceKey, Manifest]
    earlier: Mapping[ResourceKey, Manifest]
    active: tuple[ResourceKey, ...]


def prepare(
    parsed: Iterable[ParsedManifest], store: ResourceStore, gpus: int, *, are_running: bool = False
) -> AdmittedResources:
    """Admit what the files contain against what the store has.

    are_running: whether a process runs the stored resources, so that most fields of those can no longer change.
    Raises ConfigurationError that lists the problems of all resources.
    """
    earlier = {get_key(resource): resource for resource in store.list_all()}
    applied: dict[ResourceKey, Manifest] = {}
    problems: list[str] = []
    for item in parsed:
        try:
            resource = _admit(item, earlier, store.runs, are_running=are_running)
            check_gpus(resource, gpus)
        except ConfigurationError as error:
            problems.append(error.message)
            continue
        key = get_key(resource)
        if key in applied:
            problems.append(f'{item.file}: {key.kind} "{key.name}" appears twice in these files; remove one')
        applied[key] = resource
    if problems:
        raise ConfigurationError("\n".join(problems))
    known = {**earlier, **applied}
    active = collect_active(applied, known)
    check_references([known[key] for key in active], known)
    check_folders(known[key] for key in active)
    return AdmittedResources(applied, earlier, tuple(active))


def _admit(
    parsed: ParsedManifest, earlier: Mapping[ResourceKey, Manifest], runs: RunsFolder, *, are_running: bool
) -> Manifest:
    """The resource as stored, checked against the earlier one of its name. One that does not run is as if suspended."""
    old = _find_earlier(parsed.value, earlier)
    try:
        return admit(parsed, old if old is None or are_running else {**old, "spec": {**old["spec"], "suspend": True}})
    except ConfigurationError as error:
        if old is None:
            raise
        key = get_key(old)
        remedy = f"or start over under this name: deepsynth delete {key.kind.lower()} {key.name}{runs.option}"
        raise ConfigurationError(f"{error.message}\n  {remedy}") from error


def _find_earlier(value: Manifest, earlier: Mapping[ResourceKey, Manifest]) -> Manifest | None:
    """The earlier resource of the same kind and name, where `value` has them: it is not checked yet."""
    found = value.get("metadata")
    metadata = found if isinstance(found, dict) else {}
    wanted = (value.get("kind"), metadata.get("namespace") or DEFAULT_NAMESPACE, metadata.get("name"))
    return next((resource for key, resource in earlier.items() if key == wanted), None)


def collect_active(applied: Iterable[ResourceKey], known: Mapping[ResourceKey, Manifest]) -> dict[ResourceKey, None]:
    """The applied resources after those they refer to; in order, without duplicates."""
    active: dict[ResourceKey, None] = {}

    def add(key: ResourceKey) -> None:
        if key not in known or key in active:
            return
        for _, reference in find_references(known[key]):
            add(reference)
        active[key] = None

    for key in applied:
        add(key)
    return active
