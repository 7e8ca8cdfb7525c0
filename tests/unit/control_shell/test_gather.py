"""Gathering: what is read, and that many pods which say nothing cost a bounded time."""

import asyncio
from typing import Any

import pytest

from builders import a_training_run
from deepsynth_operator import gather
from deepsynth_operator.gather import gather_children
from deepsynth_operator.observed import Manifest
from seen import a_report

PODS = 5


class HalfSilentCluster:
    """Pods with odd numbers never answer. Only what gathering pods needs."""

    def __init__(self) -> None:
        self.cancelled = 0

    async def list_jobs(self, *_: str) -> list[Manifest]:
        return []

    async def list_deleted_pods(self, *_: str) -> list[Manifest]:
        return []

    async def list_pods(self, *_: str) -> list[Manifest]:
        started = {"state": {"running": {"startedAt": "2026-01-02T03:00:00Z"}}}
        return [
            {
                "metadata": {"name": f"p{number}", "uid": str(number)},
                "status": {"phase": "Running", "containerStatuses": [started]},
            }
            for number in range(PODS)
        ]

    async def read_report(self, pod: Manifest) -> Any:
        if int(pod["metadata"]["uid"]) % 2:
            try:
                await asyncio.sleep(3600)
            finally:
                self.cancelled += 1
        return a_report(7)


def test_pods_that_do_not_answer_hold_up_neither_the_decision_nor_the_reports_of_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gather, "REPORTS_SECONDS", 0.05)
    cluster: Any = HalfSilentCluster()
    children = asyncio.run(gather_children(cluster, a_training_run().build(), None))
    steps = {pod.name: pod.report.train.step for pod in children.pods if pod.report and pod.report.train}
    assert steps == {"p0": 7, "p2": 7, "p4": 7}
    assert len(children.pods) == PODS
    assert cluster.cancelled == 2
    assert "3 of 5 pods told their progress" in caplog.text
