"""The objects of a run under the names that its files have in a folder, for users and their tools; see layout.py.

    step-120-3f2a9c1b7d4e/metrics.jsonl     step-120/metrics.jsonl
    in checkpoints.json                     step-120/evaluation.json
    step-130-7d4e3f2a9c1b/                  step-130.tmp-attempt-7d4e3f2a9c1b/        left by a save that was killed
    step-110-9c1b7d4e3f2a/                  step-110.corrupt-attempt-9c1b7d4e3f2a/    put aside, because it is damaged

The functions are those of deepsynth_store.objects.folders. Other prefixes are as they are.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.calls import give_up_long_waits
from deepsynth_store.core.uri import ObjectLocation
from deepsynth_store.objects import folders
from deepsynth_store.objects.requests import StoredObject
from deepsynth_train.checkpoint.layout import EVALUATION_FILE, step_name
from deepsynth_train.checkpoint.object_files import ObjectFiles
from deepsynth_train.checkpoint.object_head import Head

_SAVE: Final = re.compile(r"(step-\d+)-([0-9a-f]{12})")


def measure(uris: Sequence[str]) -> dict[str, int]:
    return folders.measure(uris, RunFolder)


def read_files(uri: str, patterns: Sequence[str], max_bytes: int) -> Iterator[tuple[str, bytes]]:
    return folders.read_files(uri, patterns, max_bytes, RunFolder)


def remove(uris: Sequence[str]) -> None:
    folders.remove(uris, RunFolder)


class RunFolder(folders.PrefixFolder):
    """See PrefixFolder."""

    def __init__(self, location: ObjectLocation) -> None:
        super().__init__(location)
        self._files = ObjectFiles(location, give_up_long_waits)

    def list(self, name: str = "") -> Mapping[str, StoredObject]:
        head = self._read_head()
        found = {}
        for key, entry in super().list(name).items():
            first, slash, rest = key.partition("/")
            found[f"{_show(first, head)}{slash}{rest}"] = entry
        return found

    def list_documents(self) -> Mapping[str, bytes]:
        return {
            f"{step_name(entry.step)}/{EVALUATION_FILE}": json.dumps(asdict(entry.evaluation)).encode()
            for entry in self._read_head().entries
            if entry.evaluation
        }

    def remove(self, names: Sequence[str]) -> None:
        """checkpoints.json first: what it names must be there."""
        head = self._read_head()
        own = {_show(name, head): name for name in head.names}
        self._files.forget({own[name] for name in names if name in own})
        super().remove([_find_object_name(name) for name in names if name not in own])

    def _read_head(self) -> Head:
        """Empty where a file of this name is not ours."""
        try:
            return self._files.read_head()
        except ConfigurationError as error:
            if error.reason == Reason.CHECKPOINT_FOLDER_UNUSABLE:
                return Head()
            raise


def _show(name: str, head: Head) -> str:
    """The name in a folder of one in the prefix."""
    for entry in head.entries:
        if entry.name == name:
            return step_name(entry.step)
    if not (save := _SAVE.fullmatch(name)):
        return name
    return f"{save[1]}.{'corrupt' if name in head.damaged else 'tmp'}-attempt-{save[2]}"


def _find_object_name(name: str) -> str:
    """The reverse of _show for what checkpoints.json does not name."""
    return re.sub(r"^(step-\d+)\.tmp-attempt-([0-9a-f]{12})$", r"\1-\2", name)
