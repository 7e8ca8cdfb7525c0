"""All versions of a resource that a watch shows, recorded while a test runs."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from deepsynth_api.kinds import GROUP, KINDS, VERSION
from e2e.support.api import Api, Manifest


class History:
    """What `kubectl get KIND NAME --watch` would have printed."""

    def __init__(self) -> None:
        self.versions: list[Manifest] = []
        self.stopped = threading.Event()

    @property
    def states(self) -> list[str]:
        """status.state of each version, without repetitions."""
        states: list[str] = []
        for version in self.versions:
            state = version.get("status", {}).get("state")
            if state and (not states or states[-1] != state):
                states.append(state)
        return states

    @property
    def status_writes(self) -> int:
        """Versions whose status differs from the one before."""
        statuses = [version.get("status") for version in self.versions]
        return sum(before != after for before, after in itertools.pairwise(statuses))


@contextmanager
def record_history(api: Api, kind: str, name: str) -> Iterator[History]:
    """Record until the block ends. When a watch breaks it is opened again; versions in between may be missed."""
    history = History()
    thread = threading.Thread(target=_watch, args=(api, kind, name, history), daemon=True)
    thread.start()
    try:
        yield history
    finally:
        history.stopped.set()
        thread.join(timeout=10)


def _watch(api: Api, kind: str, name: str, history: History) -> None:
    arguments: dict[str, Any] = {"field_selector": f"metadata.name={name}", "timeout_seconds": 5}
    seen: set[str] = set()
    while not history.stopped.is_set():
        try:
            for event in watch.Watch().stream(
                api.custom.list_namespaced_custom_object, GROUP, VERSION, api.namespace, KINDS[kind].plural, **arguments
            ):
                version = event["object"]["metadata"]["resourceVersion"]
                if version not in seen:
                    seen.add(version)
                    history.versions.append(event["object"])
        except (ApiException, HTTPError):
            history.stopped.wait(0.5)
