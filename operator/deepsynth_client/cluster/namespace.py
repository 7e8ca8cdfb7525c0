"""Resources in a namespace of a cluster."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from deepsynth_api.kinds import KINDS
from deepsynth_api.labels import MANAGED_BY, OPERATOR_NAME, OWNER_UID
from deepsynth_client.cluster.api import APPLY, FIELD_MANAGER, MERGE, Api, BadFieldsError, Path
from deepsynth_client.cluster.obstacles import find_obstacle
from deepsynth_client.cluster.pod_logs import read_log
from deepsynth_client.cluster.volume_pods import VolumePods
from deepsynth_client.cluster.watching import watch
from deepsynth_client.errors import InvalidError, NotFoundError
from deepsynth_client.interface import Change, Files, Manifest, Note, Outcome, PodLog, Selection, WaitingPod
from deepsynth_client.manifest_file import ParsedManifest

_JOB_NAME: Final = "batch.kubernetes.io/job-name"
_INDEX: Final = "batch.kubernetes.io/job-completion-index"
_EVERYTHING: Final = Selection()


class ClusterResources:
    """Implements Resources.

    check_fields: raises an error that names the lines, for a file of which the API server has refused fields.
    """

    def __init__(self, api: Api, check_fields: Callable[[ParsedManifest], None] = lambda _: None) -> None:
        self._api, self._check_fields = api, check_fields

    @property
    def namespace(self) -> str:
        return self._api.login.namespace

    @property
    def place(self) -> str:
        return f"context {self._api.login.context}, namespace {self.namespace}"

    def list_all(self, kind: str, selection: Selection = _EVERYTHING) -> list[Manifest]:
        items, _ = self._api.list_all(self._collection(kind, selection), _build_query(selection))
        return sorted(items, key=lambda item: (item["metadata"].get("creationTimestamp", ""), item["metadata"]["name"]))

    def list_neighbours(self, kind: str) -> list[Manifest]:
        return self.list_all(kind)  # a claim is one of its namespace

    def read(self, kind: str, name: str) -> Manifest:
        return self._api.request("GET", self._path(kind, name))

    def watch(self, kind: str, selection: Selection = _EVERYTHING, *, seconds: float | None = None) -> Iterator[Change]:
        return watch(self._api, self._collection(kind, selection), _build_query(selection), seconds=seconds)

    def apply(self, manifests: Iterable[ParsedManifest], *, force: bool = False) -> list[tuple[Manifest, Outcome]]:
        """Server-side, with strict validation: the API server decides, and answers with every problem at once."""
        return [self._apply(manifest, force=force) for manifest in manifests]

    def _apply(self, parsed: ParsedManifest, *, force: bool) -> tuple[Manifest, Outcome]:
        manifest = parsed.value
        metadata = {key: value for key, value in manifest["metadata"].items() if key not in _SERVER_FIELDS}
        namespace = metadata.get("namespace") or self.namespace
        path = Path(KINDS[manifest["kind"]].plural, namespace, metadata["name"])
        before = self._read_version(path)
        body = {**manifest, "metadata": metadata}
        body.pop("status", None)
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "force": "true" if force else ""}
        try:
            stored = self._api.request("PATCH", path, query=query, body=body, content_type=APPLY)
        except BadFieldsError as error:
            self._check_fields(parsed)
            raise InvalidError(f"{parsed.file}: {error.message}") from error  # the cluster has other fields than we
        if before is None:
            return stored, "created"
        return stored, "unchanged" if stored["metadata"]["resourceVersion"] == before else "configured"

    def _read_version(self, path: Path) -> str | None:
        try:
            return str(self._api.request("GET", path)["metadata"]["resourceVersion"])
        except NotFoundError:
            return None

    def suspend(self, kind: str, name: str, *, suspend: bool) -> Manifest:
        body = {"spec": {"suspend": suspend}}
        query = {"fieldManager": FIELD_MANAGER}
        return self._api.request("PATCH", self._path(kind, name), query=query, body=body, content_type=MERGE)

    def delete(self, kind: str, name: str) -> None:
        self._api.request("DELETE", self._path(kind, name), body={"propagationPolicy": "Background"})

    def list_notes(self, resource: Manifest) -> list[Note]:
        metadata = resource["metadata"]
        query = {"fieldSelector": f"involvedObject.uid={metadata['uid']}"}
        items, _ = self._api.list_all(Path("events", metadata["namespace"]), query)
        return sorted(filter(None, map(_parse_event, items)), key=lambda note: note.time)

    def list_logs(self, resource: Manifest) -> list[PodLog]:
        return [_build_log(pod) for pod in self._list_pods(resource) if _has_started(pod)]

    def list_waiting(self, resource: Manifest) -> list[WaitingPod]:
        pods = [pod for pod in self._list_pods(resource) if not _has_started(pod)]
        return [
            WaitingPod(log.pod, log.job, log.index, self._find_obstacle(pod))
            for pod, log in zip(pods, map(_build_log, pods), strict=True)
            if not log.is_over
        ]

    def _list_pods(self, resource: Manifest) -> list[dict[str, Any]]:
        metadata = resource["metadata"]
        query = {"labelSelector": f"{MANAGED_BY}={OPERATOR_NAME},{OWNER_UID}={metadata['uid']}"}
        items, _ = self._api.list_all(Path("pods", metadata["namespace"]), query)
        return items

    def _find_obstacle(self, pod: Manifest) -> str:
        """What the pod's status says, and while that only says that it is being prepared, its last warning."""
        obstacle = find_obstacle(pod["status"])
        if obstacle not in _PREPARING:
            return obstacle
        warnings = [note.message for note in self.list_notes(pod) if note.kind == "Warning"]
        return ": ".join(filter(None, (obstacle, *warnings[-1:])))

    def read_log(
        self, resource: Manifest, log: PodLog, *, follow: bool = False, tail: int | None = None
    ) -> Iterator[str]:
        return read_log(self._api, resource["metadata"]["namespace"], log.pod, "", follow=follow, tail=tail)

    def open_files(self, resource: Manifest) -> Files:
        return VolumePods(self._api, resource)

    def explain_silence(self) -> str:
        return (
            "no operator has seen it; is one running? `kubectl get deployments -A -l app.kubernetes.io/name=deepsynth` "
            f"(and does it watch namespace {self.namespace}?)"
        )

    def _path(self, kind: str, name: str) -> Path:
        return Path(KINDS[kind].plural, self.namespace, name)

    def _collection(self, kind: str, selection: Selection) -> Path:
        return Path(KINDS[kind].plural, None if selection.all_namespaces else self.namespace)


_SERVER_FIELDS: Final = frozenset({"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"})
"""What `get -o yaml` prints and a file that is applied must not set."""


_PREPARING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})


def _build_query(selection: Selection) -> dict[str, str]:
    return {"labelSelector": selection.labels, "fieldSelector": selection.fields}


def _parse_event(item: Manifest) -> Note | None:
    """An Event as we and others write them; None if it has no time."""
    series = item.get("series") or {}
    stamp = item.get("lastTimestamp") or series.get("lastObservedTime") or item.get("eventTime")
    if not stamp:
        return None
    count = int(item.get("count") or series.get("count") or 1)
    return Note(
        datetime.fromisoformat(stamp), item.get("type", ""), item.get("reason", ""), item.get("message", ""), count
    )


def _has_started(pod: Manifest) -> bool:
    """Whether its container wrote anything yet: until then the API server refuses to read its log."""
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return any({"running", "terminated"} & set(status.get("state") or {}) for status in statuses)


def _build_log(pod: Any) -> PodLog:
    labels = pod["metadata"].get("labels") or {}
    index = (pod["metadata"].get("annotations") or {}).get(_INDEX) or labels.get(_INDEX) or "0"
    is_over = pod["status"].get("phase") in {"Succeeded", "Failed"}
    return PodLog(pod["metadata"]["name"], labels.get(_JOB_NAME, ""), int(index), is_over)
