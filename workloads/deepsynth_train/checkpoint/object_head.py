"""checkpoints.json: who owns the checkpoints under a prefix, and which there are. Pure."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, Self

from deepsynth_train.checkpoint.manifest import CheckpointManifest, CheckpointRecord, Evaluation
from deepsynth_train.checkpoint.owner import Owner, parse_owner
from deepsynth_train.checkpoint.retention import Retention, find_best, select_expired

HEAD_FILE: Final = "checkpoints.json"


@dataclass(frozen=True)
class Entry:
    """A committed checkpoint. name: of its folder. time: RFC 3339. sha256: of its manifest.json."""

    step: int
    name: str
    time: str
    bytes: int
    sha256: str
    loss: float | None
    evaluation: Evaluation | None = None

    @classmethod
    def of(cls, name: str, manifest: CheckpointManifest, sha256: str) -> Self:
        return cls(manifest.step, name, manifest.time, manifest.bytes, sha256, manifest.loss)

    def describe(self, uri: str) -> CheckpointRecord:
        """uri: of the run."""
        found = self.evaluation
        return CheckpointRecord(
            step=self.step,
            uri=f"{uri.rstrip('/')}/{self.name}",
            time=datetime.fromisoformat(self.time),
            bytes=self.bytes,
            sha256=self.sha256,
            loss=found.loss if found and self.loss is None else self.loss,
            score=found.score if found else None,
            metric=found.metric if found else None,
            value=found.value if found else None,
        )


@dataclass(frozen=True)
class Head:
    """entries: newest first. damaged: names of checkpoints that were put aside, the last one first."""

    owner: Owner | None = None
    entries: tuple[Entry, ...] = ()
    damaged: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        return {*(entry.name for entry in self.entries), *self.damaged}

    def find(self, step: int) -> Entry | None:
        return next((entry for entry in self.entries if entry.step == step), None)

    def add(self, entry: Entry, retention: Retention) -> "Head":
        """With a checkpoint, in the place of one of the same step, and without those that expire.

        A new one shows that the run continues without the damaged ones; of them only the newest is kept, as evidence.
        """
        others = [other for other in self.entries if other.step != entry.step]
        entries = sorted((*others, entry), key=lambda found: -found.step)
        records = [found.describe("") for found in entries]
        expired = select_expired(records, keep_last=retention.keep_last, keep_best=retention.keep_best)
        kept = tuple(found for found in entries if found.step not in expired)
        is_new = entry.name not in self.names  # else it was evaluated
        damaged = tuple(sorted(self.damaged, key=_read_step, reverse=True)[:1]) if is_new else self.damaged
        return replace(self, entries=kept, damaged=damaged)

    def put_aside(self, step: int) -> "Head":
        """Without a damaged checkpoint. It is kept aside: perhaps only this node reads it wrongly."""
        entry = self.find(step)
        if entry is None:
            return self
        entries = tuple(other for other in self.entries if other is not entry)
        return replace(self, entries=entries, damaged=(entry.name, *self.damaged))

    def drop(self, names: Collection[str]) -> "Head":
        """Without the checkpoints in these folders."""
        entries = tuple(entry for entry in self.entries if entry.name not in names)
        return replace(self, entries=entries, damaged=tuple(name for name in self.damaged if name not in names))

    def encode(self) -> bytes:
        best = find_best([entry.describe("") for entry in self.entries])
        document = {
            "owner": asdict(self.owner) if self.owner else None,
            "latest": self.entries[0].name if self.entries else None,
            "best": best.uri.lstrip("/") if best else None,
            "checkpoints": [asdict(entry) for entry in self.entries],
            "damaged": list(self.damaged),
        }
        return json.dumps(document, indent=1).encode()

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Raises ValueError, KeyError, TypeError or AttributeError when it is none."""
        document = json.loads(content)
        owner = document["owner"]
        return cls(
            None if owner is None else parse_owner(owner),
            tuple(_parse_entry(entry) for entry in document["checkpoints"]),
            tuple(str(name) for name in document["damaged"]),
        )


def _read_step(name: str) -> int:
    """Of the folder's name, step-120-3f2a9c1b7d4e."""
    return int(name.split("-")[1])


def _parse_entry(fields: Mapping[str, Any]) -> Entry:
    found = fields["evaluation"]
    return Entry(**{**fields, "evaluation": None if found is None else Evaluation(**found)})
