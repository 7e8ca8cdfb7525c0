"""Resources on disk, status included, one readable YAML file each: what etcd is to a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from deepsynth_api.errors import ConfigurationError, TemporaryError
from deepsynth_api.kinds import KINDS
from deepsynth_local.runs.runs_folder import RunsFolder

Resource = dict[str, Any]
DEFAULT_NAMESPACE: Final = "default"
# The one in C where PyYAML was built with it: every status write goes through it.
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True)
class ResourceStore:
    """The resources of a runs folder."""

    runs: RunsFolder

    def load(self, kind: str, namespace: str, name: str) -> Resource | None:
        file = self._file(kind, namespace, name)
        return _read(file) if file.exists() else None

    def list_all(self, *kinds: str) -> list[Resource]:
        """Every resource of these kinds, or of all, oldest first."""
        plurals = [KINDS[kind].plural for kind in kinds or KINDS]
        patterns = [pattern for plural in plurals for pattern in (f"{plural}/*.yaml", f"*/{plural}/*.yaml")]
        files = [file for pattern in patterns for file in self.runs.path.glob(pattern)]
        return sorted((_read(file) for file in files), key=_get_age_key)

    def save(self, resource: Mapping[str, Any]) -> None:
        """Replace the file in one step. Raises TemporaryError when the disk does not take it."""
        # A resourceVersion means nothing to another process.
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
        """Whether there was one. What it wrote to volumes stays."""
        file = self._file(kind, namespace, name)
        exists = file.exists()
        file.unlink(missing_ok=True)
        return exists

    def _file(self, kind: str, namespace: str, name: str) -> Path:
        if kind not in KINDS:
            raise ValueError(f"{kind} is none of {', '.join(KINDS)}")
        root = self.runs.path if namespace == DEFAULT_NAMESPACE else self.runs.path / namespace
        return root / KINDS[kind].plural / f"{name}.yaml"


def _get_age_key(resource: Resource) -> tuple[str, str]:
    metadata = resource["metadata"]
    return metadata.get("creationTimestamp", ""), metadata["name"]


def _read(file: Path) -> Resource:
    """Raises ConfigurationError for a file that somebody has damaged."""
    try:
        resource: Resource = yaml.safe_load(file.read_text(encoding="utf-8"))
        _get_age_key(resource)
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{file}: is damaged; remove it to forget that resource") from error
    return resource
