"""`deepsynth suspend`, `resume` and `delete`."""

from collections.abc import Callable, Iterator, Sequence

from deepsynth.verbs.names import find_all, format_short_name
from deepsynth.verbs.uses import escape, find_user, get_key, list_neighbours, warn_trained
from deepsynth_api.kinds import list_outputs
from deepsynth_client.errors import ClientError, InvalidError
from deepsynth_client.interface import Files, Manifest, Resources
from deepsynth_client.progress import has_ended
from deepsynth_client.report.sections import format_bytes

Ask = Callable[[str], bool]
"""Shows a question; returns whether the user agreed."""


def suspend_resources(resources: Resources, words: Sequence[str], *, suspend: bool) -> Iterator[str]:
    for resource in find_all(resources, words):
        resources.suspend(resource["kind"], resource["metadata"]["name"], suspend=suspend)
        yield f"{format_short_name(resource)} {_describe_suspension(resource, suspend=suspend)}"


def _describe_suspension(resource: Manifest, *, suspend: bool) -> str:
    if has_ended(resource):
        later = "if you continue it, it starts suspended" if suspend else "to continue a run, raise spec.maxSteps"
        return f"has already ended ({resource['status'].get('state')}); {later}"
    return "suspended: its pods save and stop" if suspend else "resumed"


def delete_resources(resources: Resources, words: Sequence[str], *, with_data: bool, ask: Ask) -> Iterator[str]:
    """Resources, and with `with_data` what they have written, after the user has seen how much it is and agreed.

    What a resource that is not named writes to as well, or needs and has not ended, stays. Complete runs that were
    trained on the data are named.
    """
    found = find_all(resources, words)
    keys = {get_key(item) for item in found}
    others = [item for item in list_neighbours(resources) if get_key(item) not in keys] if with_data else []
    for resource in found:
        yield from _delete(resources, resource, others, with_data=with_data, ask=ask)


def _delete(
    resources: Resources, resource: Manifest, others: Sequence[Manifest], *, with_data: bool, ask: Ask
) -> Iterator[str]:
    name, outputs = format_short_name(resource), list_outputs(resource)
    if not with_data:
        resources.delete(resource["kind"], resource["metadata"]["name"])
        yield f"{name} deleted; its data is kept: {', '.join(outputs)}"
        return
    _check_rest(resource)
    files = resources.open_files(resource)
    users = {uri: user for uri in outputs if (user := find_user(uri, others, resource, files))}
    free = [uri for uri in outputs if uri not in users]
    sizes = _measure(files, name, free)
    kept = [uri for uri in free if uri.rstrip("/") not in sizes]
    question = [
        f"{name} and its data will be deleted:",
        *(f"  {format_bytes(size):>9}  {uri}" for uri, size in sizes.items()),
    ]
    question += [f"  {'is kept':>9}  {uri} (no such folder, or on the Hub)" for uri in kept]
    question += [f"  {'is kept':>9}  {uri} ({user} uses it)" for uri, user in users.items()]
    warnings = warn_trained(resource, sizes, others, files)
    if not ask("\n".join([*question, *(f"  {line}" for line in warnings)])):
        yield f"{name} is kept"
        return
    files.remove([*sizes])  # first: in a cluster, the pod that does it belongs to the resource
    resources.delete(resource["kind"], resource["metadata"]["name"])
    yield f"{name} deleted, with {format_bytes(sum(sizes.values()))} of data"
    yield from warnings


def _measure(files: Files, name: str, uris: Sequence[str]) -> dict[str, int]:
    try:
        return files.measure([*map(escape, uris)])
    except ClientError as error:
        raise type(error)(
            f"{name}: nothing is deleted, because its data cannot be reached: {error.message}; `deepsynth delete "
            f"{name}` without --data deletes it and leaves the data"
        ) from error


def _check_rest(resource: Manifest) -> None:
    """Raise InvalidError while pods may write."""
    status = resource.get("status", {})
    if not has_ended(resource) and status.get("state") not in {"Suspended", "Pending", None}:
        name = format_short_name(resource)
        raise InvalidError(
            f"{name}: is {status['state']}, so its data is in use; first `deepsynth suspend {name} && deepsynth wait "
            f"{name} --for state=Suspended`"
        )
