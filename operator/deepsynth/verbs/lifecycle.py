"""`deepsynth suspend`, `resume` and `delete`."""

from collections.abc import Callable, Iterator, Sequence

from deepsynth.verbs.names import find_all, format_short_name
from deepsynth_client.errors import InvalidError
from deepsynth_client.interface import Manifest, Resources
from deepsynth_client.report.sections import format_bytes

Ask = Callable[[str], bool]
"""Shows a question; returns whether the user agreed."""


def suspend_resources(resources: Resources, words: Sequence[str], *, suspend: bool) -> Iterator[str]:
    for resource in find_all(resources, words):
        resources.suspend(resource["kind"], resource["metadata"]["name"], suspend=suspend)
        yield f"{format_short_name(resource)} {'suspended: its pods save and stop' if suspend else 'resumed'}"


def delete_resources(resources: Resources, words: Sequence[str], *, with_data: bool, ask: Ask) -> Iterator[str]:
    """Resources, and with `with_data` what they have written, after the user has seen how much it is and agreed."""
    found = find_all(resources, words)
    for resource in found:
        yield from _delete(resources, resource, with_data=with_data, ask=ask)


def list_outputs(resource: Manifest) -> list[str]:
    """The URIs that the resource writes to."""
    spec = resource["spec"]
    fields = ("checkpoint", "publish") if resource["kind"] == "TrainingRun" else ("output",)
    return [uri for field in fields if (uri := (spec.get(field) or {}).get("uri"))]


def _delete(resources: Resources, resource: Manifest, *, with_data: bool, ask: Ask) -> Iterator[str]:
    name, outputs = format_short_name(resource), list_outputs(resource)
    if not with_data:
        resources.delete(resource["kind"], resource["metadata"]["name"])
        yield f"{name} deleted; its data is kept: {', '.join(outputs)}"
        return
    _check_rest(resource)
    files = resources.open_files(resource)
    sizes = files.measure(outputs)
    kept = [uri for uri in outputs if uri not in sizes]
    question = [
        f"{name} and its data will be deleted:",
        *(f"  {format_bytes(size):>9}  {uri}" for uri, size in sizes.items()),
    ]
    question += [f"  {'is kept':>9}  {uri} (no folder, or not on a volume)" for uri in kept]
    if not ask("\n".join(question)):
        yield f"{name} is kept"
        return
    files.remove([*sizes])  # first: in a cluster, the pod that does it belongs to the resource
    resources.delete(resource["kind"], resource["metadata"]["name"])
    yield f"{name} deleted, with {format_bytes(sum(sizes.values()))} of data"


def _check_rest(resource: Manifest) -> None:
    """Raise InvalidError while pods may write."""
    status = resource.get("status", {})
    if not status.get("completionTime") and status.get("state") not in {"Suspended", "Pending", None}:
        name = format_short_name(resource)
        raise InvalidError(
            f"{name}: is {status['state']}, so its data is in use; first `deepsynth suspend {name} && deepsynth wait "
            f"{name} --for state=Suspended`"
        )
