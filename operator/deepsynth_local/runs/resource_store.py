"""Resources on disk with their status, one readable YAML file each: a local run's etcd."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from deepsynth_api.errors import ConfigurationError, TemporaryError
from deepsynth_api.kinds import KINDS
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey

DEFAULT_NAMESPACE: Final = "default"
# The C implementation where there is one: every change of a status is written with it.
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class FileCache:
    """What was read of files, until they are written again. Who uses it must not change the resources."""

    _found: dict[Path, tuple[int, Manifest]] = field(default_factory=dict)

    def read(self, file: Path) -> Manifest:
        stamp = file.stat().st_mtime_ns
        known = self._found.get(file)
        if known is None or known[0] != stamp:
            known = self._found[file] = stamp, _read(file)
        return known[1]


@dataclass(frozen=True)
class ResourceStore:
    """The resources of a runs folder."""

    runs: RunsFolder

    def load(self, kind: str, namespace: str, name: str) -> Manifest | None:
        file = self._file(kind, namespace, name)
        return _read(file) if file.exists() else None

    def list_all(self, *kinds: str, cache: FileCache | None = None) -> list[Manifest]:
        """Every resource of these kinds, or of all, oldest first. cache: reads only the files that were written."""
        read = cache.read if cache else _read
        found = [read(file) for file in self._list_files(kinds) if file.exists()]  # another process may delete it
        return sorted(found, key=_get_age_key)

    def stamp(self, *kinds: str) -> object:
        """Differs when any of these resources was written since."""
        return {(file, file.stat().st_mtime_ns) for file in self._list_files(kinds) if file.exists()}

    def _list_files(self, kinds: Sequence[str]) -> list[Path]:
        plurals = [KINDS[kind].plural for kind in kinds or KINDS]
        patterns = [pattern for plural in plurals for pattern in (f"{plural}/*.yaml", f"*/{plural}/*.yaml")]
        return [file for pattern in patterns for file in self.runs.path.glob(pattern)]

    def save(self, resource: Manifest) -> None:
        """Replace the file atomically. Raises TemporaryError when it cannot be written."""
        # A resourceVersion is only valid within one process.
        metadata = {key: value for key, value in resource["metadata"].items() if key != "resourceVersion"}
        file = self._file(resource["kind"], metadata["namespace"], metadata["name"])
        draft = file.with_suffix(".draft")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(
                yaml.dump(
                    {**resource, "metadata": metadata}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120
                ),
                encoding="utf-8",
            )
            draft.replace(file)
        except OSError as error:
            raise TemporaryError(
                f"{file}: cannot be written: {error.strerror}; free some space and run again"
            ) from error

    def delete(self, kind: str, namespace: str, name: str) -> bool:
        """Delete the resource, not its data in volumes. Returns whether it existed."""
        file = self._file(kind, namespace, name)
        exists = file.exists()
        file.unlink(missing_ok=True)
        return exists

    def _file(self, kind: str, namespace: str, name: str) -> Path:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind}")
        root = self.runs.path if namespace == DEFAULT_NAMESPACE else self.runs.path / namespace
        return root / KINDS[kind].plural / f"{name}.yaml"


def get_key(resource: Manifest) -> ResourceKey:
    """The key of a stored resource."""
    metadata = resource["metadata"]
    return ResourceKey(KINDS[resource["kind"]].name, metadata["namespace"], metadata["name"])


def _get_age_key(resource: Manifest) -> tuple[str, str]:
    metadata = resource["metadata"]
    return metadata.get("creationTimestamp", ""), metadata["name"]


def _read(file: Path) -> Manifest:
    """Raises ConfigurationError for a file that is not a resource anymore."""
    try:
        resource: Manifest = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
        _check_types(resource)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, AttributeError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{file}: is damaged; delete the file to forget this resource") from error
    return resource


def _check_types(resource: Manifest) -> None:
    """What every reader relies on. Raises AttributeError, KeyError or TypeError."""
    texts = [*get_key(resource), *_get_age_key(resource)]
    if not all(isinstance(text, str) for text in texts) or not isinstance(resource.get("status", {}), dict):
        raise TypeError("kind, namespace, name and creationTimestamp must be strings, and status an object")
