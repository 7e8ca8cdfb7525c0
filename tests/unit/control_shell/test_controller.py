"""One reconcile as the queue calls it: bounded, counted, and loud about defects."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import deepsynth_operator.controller as module
from deepsynth_local.memory_cluster import MemoryCluster
from deepsynth_operator.controller import RECONCILE_SECONDS, Controller
from deepsynth_operator.errors import ClusterError, Conflict, ControllerError, NotPermitted, Refused
from deepsynth_operator.metrics import Metrics
from deepsynth_operator.references import Key
from deepsynth_operator.settings import Settings
from manual_clock import ManualClock
from scripted_runner import ScriptedRunner
from virtual_time import run

KEY = Key("TrainingRun", "default", "read-xsum")


def process(
    monkeypatch: pytest.MonkeyPatch, reconcile: Callable[..., Awaitable[float | None]], expected: Any = None
) -> tuple[float | None, str]:
    """What comes of a reconcile that does so, and the line that counts it."""
    monkeypatch.setattr(module, "reconcile", reconcile)
    metrics = Metrics()
    controller = Controller(MemoryCluster(ScriptedRunner(), ManualClock()), Settings(), metrics)

    async def main() -> float | None:
        return await controller.process(KEY)

    after = None
    if expected is None:
        after = run(main())
    else:
        with pytest.raises(expected):
            run(main())
    lines = metrics.render().decode().splitlines()
    (line,) = [line for line in lines if line.startswith("deepsynth_reconciles_total") and not line.endswith(" 0.0")]
    return after, line


def test_the_time_of_the_next_look_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def reconcile(_cluster: Any, _settings: Any, kind: str, namespace: str, name: str, **_: Any) -> float:
        assert (kind, namespace, name) == tuple(KEY)
        return 15.0

    assert process(monkeypatch, reconcile) == (
        15.0,
        'deepsynth_reconciles_total{kind="TrainingRun",result="done"} 1.0',
    )


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (Conflict("changed"), "conflict"),
        (ClusterError("down"), "unreachable"),
        (Refused("quota"), "refused"),
        (NotPermitted("no Role"), "refused"),
        (ControllerError("spec.task: unknown; install the CRDs of this operator's version"), "unreadable"),
        (KeyError("x"), "defect"),
    ],
)
def test_what_a_reconcile_raises_is_counted_and_passed_on(
    monkeypatch: pytest.MonkeyPatch, error: Exception, result: str
) -> None:
    async def reconcile(*_: Any, **__: Any) -> float:
        raise error

    _, line = process(monkeypatch, reconcile, type(error))
    assert f'result="{result}"' in line


def test_a_reconcile_that_hangs_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def reconcile(*_: Any, **__: Any) -> float:
        await asyncio.sleep(RECONCILE_SECONDS + 1)
        raise AssertionError

    _, line = process(monkeypatch, reconcile, ClusterError)
    assert 'result="timeout"' in line
