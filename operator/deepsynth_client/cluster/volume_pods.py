"""Files of volumes and object stores in a cluster: a pod does one thing, prints the answer, and is deleted.

It mounts the claim, or has the Secret of the URI and the service account of the resource's own pods. It also has their
image and user, which are on the nodes already. It needs the rights to create
and delete pods and to read their logs, which `edit` has.
"""

import base64
import io
import json
import re
import secrets
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path as LocalPath
from typing import Any, Final

from deepsynth_api.kinds import API_VERSION
from deepsynth_api.workload import VOLUMES_PATH
from deepsynth_client.cluster import in_pod
from deepsynth_client.cluster.api import Api, Path
from deepsynth_client.cluster.kubeconfig import find_own_namespace
from deepsynth_client.cluster.obstacles import find_obstacle
from deepsynth_client.cluster.pod_logs import read_log
from deepsynth_client.entries import list_entries
from deepsynth_client.errors import ClientError, NotFoundError, UnreachableError
from deepsynth_client.file_copies import copy_files
from deepsynth_client.interface import Manifest, is_object, is_remote, warn_of_link

DEFAULT_USER: Final = 65532
DEADLINE_SECONDS: Final = 300
MANAGED_BY: Final = "deepsynth-client"
_OPENSHIFT: Final = "security.openshift.io"
"""Clusters that have this group of APIs choose the users of pods, for each namespace."""
_POLL_SECONDS: Final = 0.5
_PVC: Final = "pvc://"
_EXCEPTION: Final = re.compile(r"^[\w.]*(Error|Exception): (?=.)")
"""The class that Python prints before the message of an error."""
_MISSING_CLAIM: Final = re.compile(r'persistentvolumeclaim "([^"]+)" not found')


class VolumePods:
    """Implements Files for one resource."""

    def __init__(self, api: Api, resource: Manifest, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._api, self._resource, self._pause = api, resource, pause

    def measure(self, uris: Sequence[str]) -> dict[str, int]:
        wanted = [uri for uri in uris if _is_readable(uri)]
        if not wanted or _find_image(self._resource) is None:  # without a pod, it has written nothing
            return {}
        sizes = json.loads(self._run({"verb": "measure", "folders": list(map(_get_folder, wanted))}, wanted))
        return {_get_uri(folder): int(size) for folder, size in sizes.items()}

    def remove(self, uris: Sequence[str]) -> None:
        wanted = [uri for uri in uris if _is_readable(uri)]
        if wanted:
            answer = self._run({"verb": "remove", "folders": list(map(_get_folder, wanted))}, wanted, writes=True)
            for folder, target in json.loads(answer).items():
                warn_of_link(_get_uri(folder), target)

    def find_folder(self, uri: str) -> LocalPath | None:
        """In a pod that mounts the claim where the workloads do. A claim is one of the pod's own namespace."""
        if not _is_volume(uri) or self._resource["metadata"]["namespace"] != find_own_namespace():
            return None
        root, folder = LocalPath(VOLUMES_PATH).resolve(), LocalPath(_get_folder(uri)).resolve()
        claim = (root / _get_claim(uri)).resolve()
        is_inside = claim.parent == root and folder.is_relative_to(claim)
        return folder if is_inside and folder.is_dir() else None

    def fetch(self, uri: str, patterns: Sequence[str]) -> LocalPath | None:
        if not _is_readable(uri):
            return None
        packed = self._run({"verb": "fetch", "folder": _get_folder(uri), "patterns": list(patterns)}, [uri])
        return copy_files(uri, _unpack(packed))

    def fetch_pages(self, uri: str) -> LocalPath | None:
        if not (_is_volume(uri) or is_remote(uri)):
            return None
        place = uri if is_remote(uri) else f"file://{_get_folder(uri)}"
        return copy_files(uri, _unpack(self._run({"verb": "show", "uri": place}, [uri])))

    def _run(self, request: Any, uris: Sequence[str], *, writes: bool = False) -> str:
        """What the pod prints. Raises ClientError with what it said if it fails."""
        namespace = self._resource["metadata"]["namespace"]
        user = None if self._api.has_group(_OPENSHIFT) else DEFAULT_USER
        body = build_pod(self._resource, request, uris, writes=writes, user=user)
        name = body["metadata"]["name"]
        self._api.request("POST", Path("pods", namespace), body=body)
        try:
            self._wait_for_start(namespace, name)
            lines = list(read_log(self._api, namespace, name, "files", follow=True, pause=self._pause))
        finally:
            self._api.request("DELETE", Path("pods", namespace, name), body={"gracePeriodSeconds": 0})
        if not lines or lines[-1] != "end":
            words = _EXCEPTION.sub("", lines[-1]) if lines else "no answer"
            raise ClientError(f"pod {name}: could not {request['verb']} the files: {words}")
        return "".join(lines[:-1])

    def _wait_for_start(self, namespace: str, name: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        obstacle = ""
        while time.monotonic() < deadline:
            status = self._api.request("GET", Path("pods", namespace, name)).get("status", {})
            if status.get("phase") in {"Running", "Succeeded", "Failed"}:
                return
            obstacle = find_obstacle(status)
            if missing := _MISSING_CLAIM.search(obstacle):  # the scheduler's word; the user may not read claims
                raise NotFoundError(f"claim {missing[1]} does not exist")
            self._pause(_POLL_SECONDS)
        raise UnreachableError(f"pod {name} did not start in {DEADLINE_SECONDS} s: {obstacle or 'no node has room'}")


def _unpack(packed: str) -> Iterator[tuple[str, bytes]]:
    """The files of an archive of in_pod.fetch or show."""
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed)), mode="r:gz") as archive:
        for member in archive:
            if member.isfile() and member.size <= in_pod.MAX_BYTES and (file := archive.extractfile(member)):
                yield member.name, file.read()


def build_pod(
    resource: Manifest, request: Any, uris: Sequence[str], *, writes: bool, user: int | None = DEFAULT_USER
) -> dict[str, Any]:
    """The pod for these URIs, which meets the restricted Pod Security Standard and is deleted with its resource.

    user: unless the resource names one; None: the cluster chooses it.
    """
    metadata, template, image = resource["metadata"], resource["spec"].get("template") or {}, _find_image(resource)
    if not image:
        name = f"{resource['kind'].lower()}/{metadata['name']}"
        raise NotFoundError(f"{name} has had no pod yet, so there are no files of it")
    user = template.get("runAsUser") or user
    claims = {_get_claim(uri) for uri in uris if _is_volume(uri)}
    names = {f"claim-{number}": claim for number, claim in enumerate(sorted(claims))}
    remote = [uri for uri in uris if is_remote(uri)]
    owner = {"apiVersion": API_VERSION, "kind": resource["kind"], "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"deepsynth-files-{secrets.token_hex(4)}",
            "namespace": metadata["namespace"],
            "labels": {
                **((template.get("labels") or {}) if remote else {}),
                "app.kubernetes.io/managed-by": MANAGED_BY,
            },
            "ownerReferences": [owner],
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": _build_security_context(user),
            "containers": [
                {
                    "name": "files",
                    "image": image,
                    "command": [
                        "python",
                        "-c",
                        LocalPath(in_pod.__file__).read_text(encoding="utf-8"),
                        json.dumps(request),
                    ],
                    **(_build_environment(resource, remote) if remote else {}),
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": name, "mountPath": f"{VOLUMES_PATH}/{claim}", "readOnly": not writes}
                        for name, claim in names.items()
                    ],
                }
            ],
            "volumes": [{"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim in names.items()],
            **{
                field: template[field]
                for field in (
                    *("imagePullSecrets", "nodeSelector", "runtimeClassName", "tolerations"),
                    *(("serviceAccountName",) if remote else ()),
                )
                if template.get(field)
            },
        },
    }


def _build_security_context(user: int | None) -> dict[str, Any]:
    """As the resource's own pods have it."""
    return {
        "runAsNonRoot": True,
        **({} if user is None else dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), user)),
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _build_environment(resource: Manifest, uris: Sequence[str]) -> dict[str, Any]:
    """As the resource's own pods have it, with the Secrets of these URIs only."""
    spec = resource["spec"]
    places = [spec.get(field) or {} for field in ("output", "checkpoint", "publish")]
    secrets = [
        place["secretRef"]["name"]
        for place in places
        if place.get("secretRef") and any(uri.startswith(place["uri"].rstrip("/")) for uri in uris)
    ]
    return {
        "env": [*((spec.get("template") or {}).get("env") or [])],
        "envFrom": [{"secretRef": {"name": name}} for name in dict.fromkeys(secrets)],
    }


def _find_image(resource: Manifest) -> str | None:
    """Of its newest pod; None if it has had none."""
    images = [item.get("image") for item in list_entries(resource.get("status", {}))]
    image = next(filter(None, reversed(images)), None) or resource["spec"].get("image")
    return str(image) if image else None


def _is_readable(uri: str) -> bool:
    return _is_volume(uri) or is_object(uri)


def _is_volume(uri: str) -> bool:
    return uri.startswith(_PVC)


def _get_claim(uri: str) -> str:
    return uri.removeprefix(_PVC).partition("/")[0]


def _get_uri(folder: str) -> str:
    """The reverse of _get_folder."""
    return f"{_PVC}{folder.removeprefix(f'{VOLUMES_PATH}/')}" if folder.startswith(f"{VOLUMES_PATH}/") else folder


def _get_folder(uri: str) -> str:
    """Where the pod finds it: a path, or an object store's URI itself."""
    if is_object(uri):
        return uri.rstrip("/")
    return f"{VOLUMES_PATH}/{uri.removeprefix(_PVC).rstrip('/')}"
