"""The API server as tests use it, with an administrator's rights: typed, and with retries."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from deepsynth_api.kinds import GROUP, KINDS, VERSION
from deepsynth_api.labels import MANAGED_BY, OPERATOR_NAME, OWNER_UID
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun

REQUEST_SECONDS = 60
T = TypeVar("T")
Manifest = dict[str, Any]


class Api:
    """Reads are retried while the API server does not answer, since some tests kill it."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.namespace = namespace
        self.client = config.new_client_from_config(str(kubeconfig))
        self.client.call_api = _bound(self.client.call_api)
        self.core = client.CoreV1Api(self.client)
        self.batch = client.BatchV1Api(self.client)
        self.custom = client.CustomObjectsApi(self.client)

    def get(self, kind: str, name: str) -> Manifest:
        found = _patiently(
            lambda: self.custom.get_namespaced_custom_object(GROUP, VERSION, self.namespace, KINDS[kind].plural, name)
        )
        return cast("Manifest", found)

    def get_run(self, name: str) -> TrainingRun:
        return TrainingRun.model_validate(self.get("TrainingRun", name))

    def get_generation(self, name: str) -> DatasetGeneration:
        return DatasetGeneration.model_validate(self.get("DatasetGeneration", name))

    def list_resources(self, kind: str) -> list[Manifest]:
        found = _patiently(
            lambda: self.custom.list_namespaced_custom_object(GROUP, VERSION, self.namespace, KINDS[kind].plural)
        )
        return cast("dict[str, list[Manifest]]", found)["items"]

    def exists(self, kind: str, name: str) -> bool:
        try:
            self.get(kind, name)
        except ApiException as error:
            if error.status == 404:
                return False
            raise
        return True

    def create(self, manifest: Manifest) -> None:
        _patiently(
            lambda: self.custom.create_namespaced_custom_object(
                GROUP, VERSION, self.namespace, KINDS[manifest["kind"]].plural, manifest
            )
        )

    def patch_spec(self, kind: str, name: str, **fields: Any) -> None:
        self.custom.patch_namespaced_custom_object(
            GROUP, VERSION, self.namespace, KINDS[kind].plural, name, {"spec": fields}
        )

    def patch_status(self, kind: str, name: str, status: Mapping[str, Any]) -> None:
        self.custom.patch_namespaced_custom_object_status(
            GROUP, VERSION, self.namespace, KINDS[kind].plural, name, {"status": status}
        )

    def delete(self, kind: str, name: str) -> None:
        _patiently(
            lambda: self.custom.delete_namespaced_custom_object(
                GROUP, VERSION, self.namespace, KINDS[kind].plural, name
            )
        )

    def list_pods(self, uid: str) -> list[Manifest]:
        """Pods of the resource with this uid, as JSON has them."""
        return self._list(self.core.list_namespaced_pod, f"{OWNER_UID}={uid}")

    def list_managed_pods(self) -> list[Manifest]:
        """Pods of all resources in the namespace."""
        return self._list(self.core.list_namespaced_pod, f"{MANAGED_BY}={OPERATOR_NAME}")

    def list_jobs(self, uid: str) -> list[Manifest]:
        return self._list(self.batch.list_namespaced_job, f"{OWNER_UID}={uid}")

    def list_children(self, uid: str) -> list[str]:
        """KIND/NAME of all objects with the resource's label."""
        kinds = {
            "Job": self.batch.list_namespaced_job,
            "Pod": self.core.list_namespaced_pod,
            "Service": self.core.list_namespaced_service,
            "ConfigMap": self.core.list_namespaced_config_map,
        }
        found = {kind: self._list(action, f"{OWNER_UID}={uid}") for kind, action in kinds.items()}
        return sorted(f"{kind}/{item['metadata']['name']}" for kind, items in found.items() for item in items)

    def list_events(self, name: str) -> list[Manifest]:
        """Events on the resource of this name."""
        events = _patiently(
            lambda: self.core.list_namespaced_event(self.namespace, field_selector=f"involvedObject.name={name}")
        )
        plain: list[Manifest] = self.client.sanitize_for_serialization(events.items)
        return plain

    def find_pod(self, uid: str, index: int) -> Manifest | None:
        """The newest running pod of this completion index."""
        pods = [
            pod
            for pod in self.list_pods(uid)
            if pod["status"].get("phase") == "Running"
            and "deletionTimestamp" not in pod["metadata"]
            and pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] == str(index)
        ]
        return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)

    def delete_pod(self, name: str) -> None:
        self.core.delete_namespaced_pod(name, self.namespace)

    def evict_pod(self, name: str) -> None:
        body = client.V1Eviction(metadata=client.V1ObjectMeta(name=name, namespace=self.namespace))
        self.core.create_namespaced_pod_eviction(name, self.namespace, body)

    def delete_job(self, name: str) -> None:
        self.batch.delete_namespaced_job(name, self.namespace, propagation_policy="Background")

    def _list(self, action: Callable[..., Any], selector: str) -> list[Manifest]:
        found = _patiently(lambda: action(self.namespace, label_selector=selector))
        plain: list[Manifest] = self.client.sanitize_for_serialization(found.items)
        return plain


def wait_until(what: str, check: Callable[[], T], seconds: float, show: Callable[[], object] = lambda: "") -> T:
    """The first true value of `check`. After `seconds`, raises AssertionError with `what` and the output of `show`."""
    end = time.monotonic() + seconds
    while not (value := check()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:.0f} s. {show()}")
        time.sleep(0.5)
    return value


def _bound(call: Callable[..., Any]) -> Callable[..., Any]:
    """`call` with a time limit. Without one, the client waits for an answer forever."""

    def call_bounded(*arguments: Any, **options: Any) -> Any:
        options["_request_timeout"] = options.get("_request_timeout") or REQUEST_SECONDS
        return call(*arguments, **options)

    return call_bounded


def _patiently(action: Callable[[], T], seconds: float = 120) -> T:
    """The result of `action`, retried while there is no answer, or one with 5xx or 429."""
    end = time.monotonic() + seconds
    while True:
        try:
            return action()
        except HTTPError:
            if time.monotonic() > end:
                raise
        except ApiException as error:
            if time.monotonic() > end or (error.status not in {0, 429} and error.status < 500):
                raise
        time.sleep(0.5)
