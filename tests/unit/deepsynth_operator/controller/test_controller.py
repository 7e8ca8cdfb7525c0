"""One reconcile as the queue calls it: bounded, counted, and loud about defects."""

import asyncio
from typing import Any

import pytest

from deepsynth_operator.controller.controller import RECONCILE_SECONDS, Controller, Reconcile
from deepsynth_operator.core.errors import ClusterError, Conflict, ControllerError, NotPermitted, Refused
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.process.metrics import Metrics
from deepsynth_simulator.memory_cluster import MemoryCluster
from support.manual_clock import ManualClock
from support.scripted_runner import ScriptedRunner
from support.virtual_time import run

KEY = ResourceKey("TrainingRun", "default", "read-xsum")


def process(reconcile: Reconcile, expected: Any = None) -> tuple[float | None, str]:
    """What comes of a reconcile that does so, and the line that counts it."""
    metrics = Metrics()
    controller = Controller(
        MemoryCluster(ScriptedRunner(), ManualClock()), Settings(), metrics.observe_reconcile, reconcile
    )

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


def test_the_time_of_the_next_look_is_passed_on() -> None:
    async def reconcile(_cluster: Any, _settings: Any, kind: str, namespace: str, name: str, **_: Any) -> float:
        assert (kind, namespace, name) == tuple(KEY)
        return 15.0

    assert process(reconcile) == (
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
def test_what_a_reconcile_raises_is_counted_and_passed_on(error: Exception, result: str) -> None:
    async def reconcile(*_: Any, **__: Any) -> float:
        raise error

    _, line = process(reconcile, type(error))
    assert f'result="{result}"' in line


def test_a_reconcile_that_hangs_is_broken_off() -> None:
    async def reconcile(*_: Any, **__: Any) -> float:
        await asyncio.sleep(RECONCILE_SECONDS + 1)
        raise AssertionError

    _, line = process(reconcile, ClusterError)
    assert 'result="timeout"' in line
