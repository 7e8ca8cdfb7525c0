"""What changed between two listings of resources, as a watch reports it."""

from collections.abc import Iterator, MutableMapping, Sequence

from deepsynth_client.interface import Change, Manifest


def key_of(resource: Manifest) -> str:
    """Of a resource that was deleted and created again, another one."""
    metadata = resource["metadata"]
    return f"{resource['kind']}/{metadata.get('namespace')}/{metadata['name']}/{metadata.get('uid')}"


def find_changes(known: MutableMapping[str, Manifest], listed: Sequence[Manifest]) -> Iterator[Change]:
    """From `known`, which becomes what was listed. What is gone comes first, as when a name is used again."""
    now = {key_of(resource): resource for resource in listed}
    for key in [key for key in known if key not in now]:
        yield Change("DELETED", known.pop(key))
    for key, resource in now.items():
        before = known.get(key)
        known[key] = resource
        if before is None:
            yield Change("ADDED", resource)
        elif before != resource:
            yield Change("MODIFIED", resource)
