"""Checkpoints in object stores, which have no rename: one small object, replaced conditionally, says what there is.

    s3://bucket/run/
      checkpoints.json                the owner, the committed checkpoints, names of the latest and the best
      step-120-3f2a9c1b7d4e/          as in a folder, without evaluation.json, which is in checkpoints.json
        shards/ model/ state.json metrics.jsonl manifest.json
        shards/parts.json             sha256 of each 16 MiB of the other shards, so that ranges can be verified
      datasets.json  sample-index.bin  reports/  samples/  model/     as in a folder

A checkpoint counts from the moment that checkpoints.json names it. Each change of that object is conditional on the
version that was read: after a later attempt has claimed the prefix, an earlier one can neither commit nor delete. Names
of saves are never used twice. What no version names was left by a process that was killed, and the next claim deletes
it.
"""

import hashlib
import json
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from deepsynth_api.errors import TemporaryError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.atomic import compute_sha256
from deepsynth_store.core.uri import ObjectLocation
from deepsynth_store.objects.requests import StoredObject
from deepsynth_train.checkpoint.content import Content, Written, build_manifest
from deepsynth_train.checkpoint.disk import explain_disk
from deepsynth_train.checkpoint.layout import MANIFEST_FILE, METRICS_FILE, MODEL, SHARDS, STATE_FILE, step_name
from deepsynth_train.checkpoint.manifest import CheckpointManifest, CheckpointRecord, Evaluation, FileDigest
from deepsynth_train.checkpoint.object_files import ObjectFiles
from deepsynth_train.checkpoint.object_head import Entry
from deepsynth_train.checkpoint.object_shards import (
    PARTS_FILE,
    UploadedFile,
    build_parts_document,
    open_shards,
    upload_tensors,
)
from deepsynth_train.checkpoint.owner import Owner
from deepsynth_train.checkpoint.ranks import Ranks
from deepsynth_train.checkpoint.retention import Retention
from deepsynth_train.checkpoint.state.parts import Part
from deepsynth_train.checkpoint.state.tensor_files import INDEX_FILE, Damage, Stored, build_index, describe_parts
from deepsynth_train.checkpoint.state.trained import WEIGHTS
from deepsynth_train.checkpoint.stores import Good, Signs

_INDEX: Final = f"{SHARDS}/{INDEX_FILE}"
_PARTS: Final = f"{SHARDS}/{PARTS_FILE}"
_DOCUMENTS: Final = (STATE_FILE, METRICS_FILE, _INDEX, _PARTS)
"""The files that a resume needs besides the tensors. Rank 0 reads them for all."""


class ObjectStore:
    """See CheckpointStore."""

    def __init__(self, location: ObjectLocation, owner: Owner, retention: Retention, signs: Signs) -> None:
        self.files = ObjectFiles(
            location, lambda waiting: signs.wait(waiting.reason, waiting.seconds), has_answered=owner.number > 1
        )
        self.owner = owner
        self._calls = self.files.calls
        self._uri = location.uri
        self._retention = retention
        self._beat = signs.beat

    def claim(self) -> str | None:
        return self.files.claim(self.owner)

    def list_records(self) -> list[CheckpointRecord]:
        return [entry.describe(self._uri) for entry in self.files.read_head().entries]

    def save(self, step: int, content: Content, ranks: Ranks) -> None:
        """All ranks upload at the same time. Then rank 0 uploads the other files, and names the checkpoint."""
        folder = ranks.share(self._begin(step, ranks))
        own = ranks.together(lambda: self._upload_parts(folder, content, ranks.rank))
        uploaded = ranks.gather(own)
        ranks.together(
            lambda: self._finish(folder, step, content, uploaded) if ranks.is_first else None,
            lambda error: explain_disk(error, Path(tempfile.gettempdir())),
        )

    def save_evaluation(self, step: int, evaluation: Evaluation) -> None:
        self.files.change(
            self.owner,
            lambda head: (
                head.add(replace(entry, evaluation=evaluation), self._retention) if (entry := head.find(step)) else head
            ),
        )

    def read_evaluation(self, step: int) -> Evaluation | None:
        entry = self.files.read_head().find(step)
        return entry.evaluation if entry else None

    def verify(self, step: int, ranks: Ranks) -> Good | str:
        """Names, sizes and all small files. Tensors are verified while they are read."""
        found = ranks.share(ranks.together(lambda: self._inspect(step) if ranks.is_first else None))
        if isinstance(found, str):
            return found
        folder, manifest, objects, documents = found
        try:
            stored = self._open(objects, documents)
        except Damage as error:
            return str(error)
        return Good(step, f"{self._uri}/{folder}", manifest, stored, documents.__getitem__)

    def quarantine(self, step: int) -> None:
        self.files.change(self.owner, lambda head: head.put_aside(step))

    def write_pointers(self) -> None:
        """They are part of the object that names the checkpoints."""

    def _begin(self, step: int, ranks: Ranks) -> str:
        """A folder that no other save ever has. A process that is left over stops before it uploads anything."""
        ranks.together(lambda: self.files.check_ownership(self.owner) if ranks.is_first else None)
        return f"{step_name(step)}-{uuid.uuid4().hex[:12]}"

    def _upload_parts(self, folder: str, content: Content, rank: int) -> tuple[Written, UploadedFile | None]:
        if not content.parts:
            return Written(), None
        path = f"{SHARDS}/rank-{rank}.safetensors"
        file = upload_tensors(self._calls, folder, path, content.parts, self._beat)
        return Written([file.digest], describe_parts(Path(path).name, content.parts)), file

    def _finish(
        self, folder: str, step: int, content: Content, uploaded: list[tuple[Written, UploadedFile | None]]
    ) -> None:
        """uploaded: by rank."""
        shards = [file for _, file in uploaded if file]
        documents = {
            STATE_FILE: json.dumps(content.state).encode(),
            METRICS_FILE: "".join(json.dumps(line) + "\n" for line in content.metrics).encode(),
            _INDEX: build_index([written.tensors for written, _ in uploaded], content.values).encode(),
            _PARTS: build_parts_document({Path(file.digest.path).name: file.parts for file in shards}),
        }
        files = [file.digest for file in shards]
        for path, data in documents.items():
            self._calls.write(f"{folder}/{path}", data)
            files.append(FileDigest(path, len(data), hashlib.sha256(data).hexdigest()))
        if content.write_model:
            files += self._write_model(folder, content, documents)
        manifest = build_manifest(step, self.owner, content, len(uploaded), files)
        text = manifest.to_json().encode()
        self._calls.write(f"{folder}/{MANIFEST_FILE}", text)
        if damage := _compare(manifest, self._list(folder)):
            raise TemporaryError(
                f"spec.checkpoint.uri: {self._uri}/{folder} was written, but {damage}",
                reason=Reason.CHECKPOINT_NOT_SAVED,
            )
        entry = Entry.of(folder, manifest, hashlib.sha256(text).hexdigest())
        self.files.change(self.owner, lambda head: head.add(entry, self._retention))

    def _write_model(self, folder: str, content: Content, documents: Mapping[str, bytes]) -> list[FileDigest]:
        """On this machine's disk first, because libraries write models to folders."""
        assert content.write_model  # noqa: S101 - see _finish
        weights = self._read_weights(folder, content, documents)
        digests = []
        with tempfile.TemporaryDirectory(prefix="deepsynth-model-") as path:
            content.write_model(Path(path), weights)
            for file in sorted(found for found in Path(path).rglob("*") if found.is_file()):
                name = f"{MODEL}/{file.relative_to(path).as_posix()}"
                self._calls.write(f"{folder}/{name}", file)
                self._beat()
                digests.append(FileDigest(name, file.stat().st_size, compute_sha256(file)))
        return digests

    def _read_weights(self, folder: str, content: Content, documents: Mapping[str, bytes]) -> dict[str, torch.Tensor]:
        """From this process's memory; what other ranks have written, from the store."""
        weights = {
            part.name: part.data.clone()  # all are in one buffer, and libraries take that for tied weights
            for part in content.parts
            if part.data.shape == part.shape and part.name.startswith(WEIGHTS)
        }
        stored = self._open(self._list(folder), documents)
        missing = [
            Part(name, kind.shape, (0,) * len(kind.shape), torch.empty(kind.shape, dtype=kind.dtype))
            for name, kind in stored.tensors.items()
            if name.startswith(WEIGHTS) and name not in weights
        ]
        stored.fill(missing)
        weights |= {part.name: part.data for part in missing}
        return {name.removeprefix(WEIGHTS): found for name, found in weights.items()}

    def _list(self, folder: str) -> dict[str, StoredObject]:
        """By path in the folder."""
        return {entry.key.removeprefix(f"{folder}/"): entry for entry in self._calls.list(folder)}

    def _open(self, objects: Mapping[str, StoredObject], documents: Mapping[str, bytes]) -> Stored:
        shards = {Path(path).name: entry for path, entry in objects.items() if path.startswith(f"{SHARDS}/")}
        return open_shards(self._calls, shards, documents[_INDEX], documents[_PARTS], self._beat)

    def _inspect(self, step: int) -> tuple[str, CheckpointManifest, dict[str, StoredObject], dict[str, bytes]] | str:
        """Folder, manifest, objects and small files of a checkpoint, or what is damaged."""
        entry = self.files.read_head().find(step)
        if entry is None:
            return f"{MANIFEST_FILE}: the checkpoint is gone"
        text = self._read_verified(f"{entry.name}/{MANIFEST_FILE}", entry.sha256)
        if text is None:
            return f"{MANIFEST_FILE}: is missing, or its sha256 does not match"
        try:
            manifest = CheckpointManifest.from_json(text.decode())
        except ValueError as error:
            return f"{MANIFEST_FILE}: cannot be read ({error})"
        objects = self._list(entry.name)
        if damage := _compare(manifest, objects):
            return damage
        expected = {file.path: file for file in manifest.files}
        documents = {}
        for path in _DOCUMENTS:
            data = self._read_verified(f"{entry.name}/{path}", expected[path].sha256) if path in expected else None
            if data is None:
                return f"{path}: sha256 does not match the manifest"
            documents[path] = data
        return entry.name, manifest, objects, documents

    def _read_verified(self, name: str, sha256: str) -> bytes | None:
        """None if it is missing or damaged."""
        for _ in range(2):  # perhaps damaged on the way
            data = self.files.read(name)
            if data is not None and hashlib.sha256(data).hexdigest() == sha256:
                return data
        return None


def _compare(manifest: CheckpointManifest, objects: Mapping[str, StoredObject]) -> str:
    """The first file that is missing or has another size; empty if there is none."""
    for file in manifest.files:
        found = objects.get(file.path)
        if found is None:
            return f"{file.path}: is missing"
        if found.size != file.size:
            return f"{file.path}: expected {file.size} bytes, found {found.size}"
    return ""
