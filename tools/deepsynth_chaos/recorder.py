"""Records every version of the resources that a watch shows, and the uid of every Job, while faults happen."""

import threading
from typing import Any, Self

from kubernetes import client, config, watch
from urllib3.exceptions import HTTPError

from deepsynth_api.kinds import GROUP, KINDS, VERSION
from deepsynth_api.labels import OWNER_UID
from deepsynth_chaos.cluster_api import UNREACHABLE, Manifest
from deepsynth_chaos.invariants import Record


class Recorder:
    """records: by uid of the resource. A watch that breaks is opened again where it was, so it misses nothing."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        self._namespace = namespace
        self.records: dict[str, Record] = {}
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._watch, args=(kubeconfig, kind), daemon=True) for kind in KINDS]
        self._threads.append(threading.Thread(target=self._watch, args=(kubeconfig, "Job"), daemon=True))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()

    def _watch(self, kubeconfig: str, kind: str) -> None:
        api = config.new_client_from_config(kubeconfig)
        version = ""
        while not self._stopped.is_set():
            options: dict[str, Any] = {"timeout_seconds": 10, "_request_timeout": 15}
            if version:
                options["resource_version"] = version
            try:
                for event in self._stream(api, kind, options):
                    item: Manifest = api.sanitize_for_serialization(event["object"])
                    if event["type"] == "ERROR" or "resourceVersion" not in item.get("metadata", {}):
                        version = ""
                        break
                    version = item["metadata"]["resourceVersion"]
                    if event["type"] != "DELETED":
                        self._note(kind, item)
            except (*UNREACHABLE, HTTPError) as error:
                if getattr(error, "status", None) == 410:
                    version = ""
                self._stopped.wait(0.3)

    def _stream(self, api: client.ApiClient, kind: str, options: dict[str, Any]) -> Any:
        if kind == "Job":
            return watch.Watch().stream(client.BatchV1Api(api).list_namespaced_job, self._namespace, **options)
        listing = client.CustomObjectsApi(api).list_namespaced_custom_object
        return watch.Watch().stream(listing, GROUP, VERSION, self._namespace, KINDS[kind].plural, **options)

    def _note(self, kind: str, item: Manifest) -> None:
        metadata = item["metadata"]
        if kind == "Job":
            owner = (metadata.get("labels") or {}).get(OWNER_UID, "")
            jobs = self.records.setdefault(owner, Record()).jobs
            jobs.setdefault(metadata["name"], set()).add(metadata["uid"])
            return
        versions = self.records.setdefault(metadata["uid"], Record()).versions
        if not versions or int(metadata["resourceVersion"]) > int(versions[-1]["metadata"]["resourceVersion"]):
            versions.append(item)
