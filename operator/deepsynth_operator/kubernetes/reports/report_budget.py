"""How much of what pods report is kept in memory: a number of bytes for each namespace.

A report may have 64 KiB, and a namespace thousands of pods. What does not fit is treated like the report of a pod that
does not answer, so a user can hide the progress of their own runs, and nothing else.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, Manifest
from deepsynth_operator.core.resource_key import ResourceKey

MAX_NAMESPACE_BYTES: Final = 8 * 2**20
"""As JSON. A usual report has 1 to 4 KiB, so this is enough for more than 2,000 pods at work."""
_logger = logging.getLogger(__name__)


class ReportBudget:
    """limit: bytes of the reports of all resources in one namespace."""

    def __init__(self, limit: int = MAX_NAMESPACE_BYTES) -> None:
        self._limit = limit
        self._sizes: dict[ResourceKey, int] = {}
        """Bytes of the reports that are kept of each resource."""
        self._used: Counter[str] = Counter()
        self._exceeded: set[str] = set()

    def fit(self, owner: ResourceKey, pods: Sequence[Manifest], new: Mapping[str, bytes]) -> dict[str, bytes]:
        """The part of `new` to keep from now on, by uid. The first pods of the resource come first."""
        left = self._limit - self._used[owner.namespace] + self._sizes.get(owner, 0)
        reports = dict[str, bytes]()
        for uid in (pod["metadata"]["uid"] for pod in sorted(pods, key=_get_index)):
            report = new.get(uid)
            if report is not None and len(report) <= left:
                reports[uid] = report
                left -= len(report)
        self._note(owner, sum(map(len, reports.values())))
        self._warn(owner.namespace, exceeds=len(reports) < len(new))
        return reports

    def forget(self, owner: ResourceKey) -> None:
        """The resource is not polled any more."""
        self._note(owner, 0)

    def get_used(self, namespace: str) -> int:
        return self._used[namespace]

    def _note(self, owner: ResourceKey, size: int) -> None:
        self._used[owner.namespace] += size - self._sizes.pop(owner, 0)
        if size:
            self._sizes[owner] = size
        if not self._used[owner.namespace]:
            del self._used[owner.namespace]
            self._exceeded.discard(owner.namespace)

    def _warn(self, namespace: str, *, exceeds: bool) -> None:
        """Once, until the namespace keeps no report any more."""
        if exceeds and namespace not in self._exceeded:
            self._exceeded.add(namespace)
            text = "reports of pods in namespace %s exceed %d bytes; the progress of some is not shown"
            _logger.warning(text, namespace, self._limit)


def _get_index(pod: Manifest) -> tuple[int, str]:
    """Sorts by completion index: the first pod of an attempt reports its progress."""
    index = pod["metadata"].get("annotations", {}).get(COMPLETION_INDEX_ANNOTATION, "")
    return len(index), index
