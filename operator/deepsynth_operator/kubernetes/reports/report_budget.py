"""How much of what pods report is kept in memory: a number of bytes for each namespace.

A report may have 64 KiB, and a namespace thousands of pods. What does not fit is treated like the report of a pod that
does not answer, so a user can hide the progress of their own runs, and nothing else.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from deepsynth_api.report import Report
from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, Manifest
from deepsynth_operator.core.resource_key import ResourceKey

MAX_NAMESPACE_BYTES: Final = 8 * 2**20
"""As JSON. A usual report has 1 to 4 KiB, so this is enough for more than 2,000 pods at work."""
_logger = logging.getLogger(__name__)


class ReportBudget:
    """limit: bytes of the reports of all resources in one namespace."""

    def __init__(self, limit: int = MAX_NAMESPACE_BYTES) -> None:
        self._limit = limit
        self._sizes: dict[ResourceKey, dict[str, int]] = {}
        """Bytes of each report that is kept, by the pod's uid."""
        self._used: Counter[str] = Counter()
        self._exceeded: set[str] = set()

    def fit(
        self, owner: ResourceKey, pods: Sequence[Manifest], kept: Mapping[str, Report], new: Mapping[str, Report]
    ) -> dict[str, Report]:
        """The part of `new` to keep instead of `kept`, both by uid. The first pods of the resource come first."""
        before = self._sizes.get(owner, {})
        left = self._limit - self._used[owner.namespace] + sum(before.values())
        reports, sizes = dict[str, Report](), dict[str, int]()
        for uid in (pod["metadata"]["uid"] for pod in sorted(pods, key=_get_index)):
            if (report := new.get(uid)) is None:
                continue
            old = kept.get(uid)
            if old is not None and old == report:
                report, size = old, before[uid]
            else:
                size = len(report.model_dump_json(by_alias=True, exclude_none=True))
            if size <= left:
                reports[uid], sizes[uid] = report, size
                left -= size
        self._note(owner, sizes)
        self._warn(owner.namespace, exceeds=len(reports) < len(new))
        return reports

    def forget(self, owner: ResourceKey) -> None:
        """The resource is not polled any more."""
        self._note(owner, {})

    def get_used(self, namespace: str) -> int:
        return self._used[namespace]

    def _note(self, owner: ResourceKey, sizes: dict[str, int]) -> None:
        self._used[owner.namespace] += sum(sizes.values()) - sum(self._sizes.pop(owner, {}).values())
        if sizes:
            self._sizes[owner] = sizes
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
