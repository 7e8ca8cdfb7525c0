"""The last states of deleted pods, for some minutes: they hold exit codes and final reports."""

from collections import defaultdict
from typing import Final

from deepsynth_api.labels import OWNER_UID
from deepsynth_operator.core.observed import Manifest

REMEMBERED_SECONDS: Final = 600.0
"""How long the last state of deleted pods is kept."""
MAX_DELETED_PODS: Final = 10_000
"""If there are more, the namespace with the most loses its oldest, so that no user displaces those of others."""


class DeletedPods:
    """Every time here is that of the caller's clock. Pods are found by their owner, without a look at all of them."""

    def __init__(self, max_pods: int = MAX_DELETED_PODS) -> None:
        self._max_pods = max_pods
        self._count = 0
        self._times: dict[str, dict[str, float]] = {}
        """By namespace and uid, oldest first."""
        self._pods: defaultdict[tuple[str, str], dict[str, Manifest]] = defaultdict(dict)
        """By namespace and owner, then by uid."""
        self._owners: dict[str, str] = {}
        """By uid."""

    def __len__(self) -> int:
        return self._count

    def add(self, pod: Manifest, now: float) -> None:
        namespace, uid = pod["metadata"]["namespace"], pod["metadata"]["uid"]
        self.discard(namespace, uid)
        self._owners[uid] = pod["metadata"].get("labels", {}).get(OWNER_UID, "")
        self._times.setdefault(namespace, {})[uid] = now
        self._pods[namespace, self._owners[uid]][uid] = pod
        self._count += 1
        while self._count > self._max_pods:
            most = max(self._times, key=lambda name: len(self._times[name]))
            self.discard(most, next(iter(self._times[most])))

    def discard(self, namespace: str, uid: str) -> None:
        """Forget a pod, if it is known."""
        times = self._times.get(namespace, {})
        if times.pop(uid, None) is None:
            return
        if not times:
            del self._times[namespace]
        self._count -= 1
        owner = self._owners.pop(uid)
        del self._pods[namespace, owner][uid]
        if not self._pods[namespace, owner]:
            del self._pods[namespace, owner]

    def forget_before(self, time: float) -> None:
        for namespace in list(self._times):
            while (times := self._times.get(namespace)) and times[oldest := next(iter(times))] < time:
                self.discard(namespace, oldest)

    def select(self, namespace: str, owner_uid: str) -> list[Manifest]:
        """The pods of this owner, oldest first."""
        return list(self._pods.get((namespace, owner_uid), {}).values())
