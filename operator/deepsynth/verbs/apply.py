"""`deepsynth apply`: create the resources of files, or change their specs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from deepsynth.verbs.names import format_short_name
from deepsynth_api.kinds import API_VERSION, KINDS
from deepsynth_client.errors import InvalidError
from deepsynth_client.interface import Resources
from deepsynth_client.manifest_file import ParsedManifest, read_manifests

_SUFFIXES: Final = {".yaml", ".yml", ".json"}


def apply_files(resources: Resources, files: Sequence[str], *, force: bool) -> Iterator[str]:
    """A line for each resource. Raises InvalidError before anything is applied if a file has no or other resources."""
    parsed = read_files(files)
    for resource, outcome in resources.apply(parsed, force=force):
        yield f"{format_short_name(resource)} {outcome}"


def read_files(files: Sequence[str]) -> list[ParsedManifest]:
    """The resources of files; of a folder, those of its YAML and JSON files."""
    parsed = [item for file in files for path in _expand(file) for item in read_manifests(path)]
    if not parsed:
        raise InvalidError(f"{', '.join(files)}: must contain at least one resource, found none")
    for item in parsed:
        check_manifest(item)
    return parsed


def _expand(file: str) -> list[str]:
    path = Path(file)
    return sorted(str(child) for child in path.iterdir() if child.suffix in _SUFFIXES) if path.is_dir() else [file]


def check_manifest(parsed: ParsedManifest) -> None:
    """Raise InvalidError for a resource of others, or without a name. The place checks the rest."""
    kind, version = parsed.value.get("kind"), parsed.value.get("apiVersion")
    if kind not in KINDS or version != API_VERSION:
        raise InvalidError(
            f"{parsed.file}:{parsed.find_line(('kind',))}: kind {kind!r} of {version!r} is not DeepSynth's; apply it "
            f"with `kubectl apply -f {parsed.file}`, or write apiVersion: {API_VERSION} and kind: {' or '.join(KINDS)}"
        )
    metadata = parsed.value.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise InvalidError(f"{parsed.file}:{parsed.find_line(('metadata', 'name'))}: metadata.name: required value")
