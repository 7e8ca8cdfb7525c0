"""Resources in the runs folder of this machine. A process in the background works on them: see background.py."""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from deepsynth_api.kinds import KINDS
from deepsynth_client.changes import find_changes
from deepsynth_client.entries import list_entries
from deepsynth_client.errors import NotFoundError
from deepsynth_client.interface import LISTED, Change, Files, Manifest, Note, Outcome, PodLog, Selection, WaitingPod
from deepsynth_client.manifest_file import ParsedManifest
from deepsynth_client.selectors import build_filter
from deepsynth_local.background import ask
from deepsynth_local.local_files import LocalFiles
from deepsynth_local.runs.event_log import read_events
from deepsynth_local.runs.requests import Request
from deepsynth_local.runs.resource_store import FileCache, ResourceStore, get_key
from deepsynth_local.runs.runs_folder import RunsFolder

POLL_SECONDS: Final = 0.25
_BLOCK: Final = 64 * 1024
_MAX_TAIL_BYTES: Final = 8 * 1024**2
_EVERYTHING: Final = Selection()


class LocalResources:
    """Implements Resources. namespace: only this one; all of the folder by default."""

    def __init__(self, runs: RunsFolder, namespace: str = "", *, pause: Callable[[float], None] = time.sleep) -> None:
        self.runs, self._namespace, self._pause = runs, namespace, pause
        self._store, self._read = ResourceStore(runs), FileCache()

    @property
    def place(self) -> str:
        return f"folder {self.runs.path}" + (f", namespace {self._namespace}" if self._namespace else "")

    def list_all(self, kind: str, selection: Selection = _EVERYTHING) -> list[Manifest]:
        matches = build_filter(selection)
        return [
            item
            for item in self._store.list_all(kind, cache=self._read)
            if self._is_here(item, selection) and matches(item)
        ]

    def list_neighbours(self, kind: str) -> list[Manifest]:
        return self._store.list_all(kind, cache=self._read)

    def _is_here(self, resource: Manifest, selection: Selection) -> bool:
        return not self._namespace or selection.all_namespaces or resource["metadata"]["namespace"] == self._namespace

    def read(self, kind: str, name: str) -> Manifest:
        found = next((item for item in self.list_all(kind) if item["metadata"]["name"] == name), None)
        if found is None:
            raise NotFoundError(f'{KINDS[kind].full_name} "{name}" not found in {self.runs.path}')
        return found

    def watch(self, kind: str, selection: Selection = _EVERYTHING, *, seconds: float | None = None) -> Iterator[Change]:
        known: dict[str, Manifest] = {}
        stamp: object = None
        deadline = time.monotonic() + (math.inf if seconds is None else seconds)
        while True:
            before, stamp = stamp, self._store.stamp(kind)
            if stamp != before:
                yield from find_changes(known, self.list_all(kind, selection))
            if before is None:
                yield LISTED
            if time.monotonic() >= deadline:
                return
            self._pause(POLL_SECONDS)

    def apply(
        self,
        manifests: Iterable[ParsedManifest],
        *,
        force: bool = False,  # noqa: ARG002 - of the interface
    ) -> list[tuple[Manifest, Outcome]]:
        """force: has no meaning here, where nobody else manages fields."""
        from deepsynth_local.admission.local_checks import check_disk, count_gpus
        from deepsynth_local.admission.prepare import prepare  # slow to import: the CEL rules

        admitted = prepare(map(self._place, manifests), self._store, count_gpus(), are_running=self.runs.is_locked)
        runs = RunsFolder.open(self.runs.path)
        check_disk(runs.path)
        outcomes = {key: _compare(admitted.earlier.get(key), new) for key, new in admitted.applied.items()}
        ask(runs, Request(list(admitted.applied.values())))
        return [(self._store.load(*key) or admitted.applied[key], outcome) for key, outcome in outcomes.items()]

    def _place(self, parsed: ParsedManifest) -> ParsedManifest:
        """In the namespace of the command line, unless the file names one."""
        metadata = parsed.value.get("metadata")
        if not self._namespace or not isinstance(metadata, dict) or metadata.get("namespace"):
            return parsed
        value = {**parsed.value, "metadata": {**metadata, "namespace": self._namespace}}
        return ParsedManifest(value, parsed.file, parsed.lines)

    def suspend(self, kind: str, name: str, *, suspend: bool) -> Manifest:
        found = self.read(kind, name)
        if bool(found["spec"].get("suspend")) != suspend or not self.runs.is_locked:
            ask(self.runs, Request([{**found, "spec": {**found["spec"], "suspend": suspend}}]))
        return self.read(kind, name)

    def delete(self, kind: str, name: str) -> None:
        if "/" in name:  # part of a path
            raise NotFoundError(f'{KINDS[kind].full_name} "{name}" not found in {self.runs.path}')
        found = self.read(kind, name)
        key = get_key(found)
        if self.runs.is_locked:
            ask(self.runs, Request(delete=[key]))
        else:
            with self.runs.lock():
                self._store.delete(*key)
        for log in self.list_logs(found):  # as in a cluster, where they are gone with the pods
            self.runs.log_file(log.pod).unlink(missing_ok=True)

    def list_notes(self, resource: Manifest) -> list[Note]:
        return [
            Note(event["time"], event["kind"], event["reason"], event["message"])
            for event in read_events(self.runs, resource)
        ]

    def list_logs(self, resource: Manifest) -> list[PodLog]:
        jobs = _list_jobs(resource)
        logs = [_build_log(file, job, self.runs) for job in jobs for file in self.runs.path.glob(f"logs/{job}-*.log")]
        return sorted(
            logs, key=lambda log: (jobs.index(log.job), log.index, self.runs.log_file(log.pod).stat().st_mtime_ns)
        )

    def list_waiting(self, resource: Manifest) -> list[WaitingPod]:  # noqa: ARG002 - of the interface
        return []

    def read_log(
        self,
        resource: Manifest,  # noqa: ARG002 - of the interface
        log: PodLog,
        *,
        follow: bool = False,
        tail: int | None = None,
    ) -> Iterator[str]:
        path = self.runs.log_file(log.pod)
        with path.open(encoding="utf-8", errors="replace") as file:
            file.seek(0 if tail is None else _find_tail(path, tail))
            rest = ""
            while True:
                is_over = not follow or not self.runs.pod_folder(log.pod).exists()
                while line := file.readline():
                    rest += line
                    if rest.endswith("\n"):
                        yield rest[:-1]
                        rest = ""
                if is_over:
                    break
                self._pause(POLL_SECONDS)
            if rest:
                yield rest

    def open_files(self, resource: Manifest) -> Files:  # noqa: ARG002 - of the interface
        return LocalFiles(self.runs)

    def explain_silence(self) -> str:
        if self.runs.is_locked:
            return f"the process that runs {self.runs.path} has not come to it yet; see {self.runs.controller_log}"
        return f"no process runs {self.runs.path}; `deepsynth resume KIND NAME` or `deepsynth local -f FILE` starts one"


def _compare(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Outcome:
    if old is None:
        return "created"
    return "unchanged" if all(_pick(old, part) == _pick(new, part) for part in _WRITTEN) else "configured"


_WRITTEN: Final = (("spec",), ("metadata", "labels"), ("metadata", "annotations"))


def _pick(resource: Any, path: Sequence[str]) -> Any:
    for key in path:
        resource = resource.get(key) or {}
    return resource


def _list_jobs(resource: Manifest) -> list[str]:
    """The names of its Jobs, oldest first."""
    names = [item.get("job") or item.get("name") for item in list_entries(resource.get("status", {}))]
    return [*dict.fromkeys(filter(None, names))]


def _build_log(file: Path, job: str, runs: RunsFolder) -> PodLog:
    """JOB-INDEX-SUFFIX.log"""
    index = file.stem.removeprefix(f"{job}-").partition("-")[0]
    is_over = not runs.pod_folder(file.stem).exists()
    return PodLog(file.stem, job, int(index) if index.isdigit() else 0, is_over)


def _find_tail(file: Path, count: int) -> int:
    """Where the last `count` lines of a file begin, read from its end; not further back than 8 MiB."""
    blocks: list[bytes] = []  # the last one first
    found = 0
    with file.open("rb") as opened:
        at = end = opened.seek(0, os.SEEK_END)
        while at > 0 and found <= count and end - at < _MAX_TAIL_BYTES:
            start = max(0, at - _BLOCK)
            opened.seek(start)
            blocks.append(opened.read(at - start))
            found, at = found + blocks[-1].count(b"\n"), start
    lines = b"".join(reversed(blocks)).splitlines(keepends=True)
    return at + sum(map(len, lines[:-count]))
