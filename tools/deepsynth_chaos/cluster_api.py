"""The requests of a campaign, bounded in time: faults make the API server unreachable, and that must not end it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from deepsynth_api.kinds import GROUP, KINDS, VERSION
from deepsynth_api.labels import MANAGED_BY, OPERATOR_NAME

Manifest = dict[str, Any]
UNREACHABLE = (ApiException, HTTPError, OSError)
SECONDS = 10
_SELECTOR = {"label_selector": f"{MANAGED_BY}={OPERATOR_NAME}"}
T = TypeVar("T")


class ClusterApi:
    """namespace: where users' resources are. Every call raises one of UNREACHABLE when it does not succeed."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.namespace = namespace
        self._client = config.new_client_from_config(str(kubeconfig))
        self._core, self._batch = client.CoreV1Api(self._client), client.BatchV1Api(self._client)
        self._custom = client.CustomObjectsApi(self._client)

    def request(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Manifest:
        answer = self._client.call_api(
            method,
            self._client.configuration.host + path,
            header_params=self._client.default_headers | {"Content-Type": content_type, "Accept": "application/json"},
            body=body,
            _request_timeout=SECONDS,
        )
        text = answer.read()
        if not 200 <= answer.status < 300:
            raise ApiException(status=answer.status, reason=text[:200].decode(errors="replace"))
        return cast("Manifest", json.loads(text))

    def list_resources(self, kind: str) -> list[Manifest]:
        return self._items(f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{KINDS[kind].plural}")

    def list_children(self, kind: str) -> list[Manifest]:
        prefix = "/apis/batch/v1" if kind == "Job" else "/api/v1"
        query = f"?labelSelector={MANAGED_BY}%3D{OPERATOR_NAME}"
        found = self._items(f"{prefix}/namespaces/{self.namespace}/{kind.lower()}s{query}")
        return [{**item, "kind": kind} for item in found]

    def list_events(self) -> list[Manifest]:
        return self._items(f"/api/v1/namespaces/{self.namespace}/events")

    def create(self, manifest: Manifest) -> None:
        plural = KINDS[manifest["kind"]].plural
        self.request("POST", f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{plural}", manifest)

    def delete_resource(self, kind: str, name: str) -> None:
        self.request("DELETE", f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{KINDS[kind].plural}/{name}")

    def delete_job(self, name: str) -> None:
        options = {"propagationPolicy": "Background"}
        self.request("DELETE", f"/apis/batch/v1/namespaces/{self.namespace}/jobs/{name}", options)

    def delete_pod(self, name: str, uid: str = "", grace: int | None = None) -> None:
        options: Manifest = {"preconditions": {"uid": uid}} if uid else {}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        self.request("DELETE", f"/api/v1/namespaces/{self.namespace}/pods/{name}", options)

    def evict_pod(self, name: str) -> None:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": self.namespace}}
        self.request("POST", f"/api/v1/namespaces/{self.namespace}/pods/{name}/eviction", body)

    def patch_pod_status(self, name: str, uid: str, status: Mapping[str, Any]) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}/status"
        body = {"metadata": {"uid": uid}, "status": status}
        self.request("PATCH", path, body, "application/strategic-merge-patch+json")

    def _items(self, path: str) -> list[Manifest]:
        return cast("list[Manifest]", self.request("GET", path)["items"])


def persist(action: Callable[[], T], attempts: int = 240, pause: Callable[[], object] = lambda: None) -> T:
    """The result of `action`, which is tried again while the API server does not answer."""
    for _ in range(attempts - 1):
        try:
            return action()
        except ApiException as error:
            if error.status in {400, 403, 404, 409, 422}:
                raise
        except (HTTPError, OSError):
            pass
        pause()
    return action()
