"""One reconcile as the queue calls it: limited in time, counted by result, errors passed on."""

import asyncio
from typing import Any, cast

import pytest

from deepsynth_operator.controller.controller import RECONCILE_SECONDS, Controller, Reconcile
from deepsynth_operator.core.errors import ClusterError, Conflict, ControllerError, NotPermitted, Refused
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.core.settings import Settings
from support.clocks.virtual_time import run

KEY = ResourceKey("TrainingRun", "default", "read-xsum")


def process(reconcile: Reconcile, expected: type[Exception] | None = None) -> tuple[float | None, list[str]]:
    """What `process` returns with this reconcile, and the results that were observed."""
    observed: list[str] = []
    controller = Controller(
        cast("Any", None), Settings(), lambda _kind, result, _seconds: observed.append(result), reconcile
    )

    async def main() -> float | None:
        return await controller.process(KEY)

    after = None
    if expected is None:
        after = run(main())
    else:
        with pytest.raises(expected):
            run(main())
    return after, observed


def test_the_delay_until_the_next_reconcile_is_returned() -> None:
    async def reconcile(_cluster: Any, _settings: Any, kind: str, namespace: str, name: str, **_: Any) -> float:
        assert (kind, namespace, name) == tuple(KEY)
        return 15.0

    assert process(reconcile) == (15.0, ["done"])


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
def test_an_error_of_a_reconcile_is_counted_and_raised(error: Exception, result: str) -> None:
    async def reconcile(*_: Any, **__: Any) -> float:
        raise error

    assert process(reconcile, type(error)) == (None, [result])


def test_a_reconcile_that_hangs_is_cancelled() -> None:
    async def reconcile(*_: Any, **__: Any) -> float:
        await asyncio.sleep(RECONCILE_SECONDS + 1)
        raise AssertionError

    assert process(reconcile, ClusterError) == (None, ["timeout"])
