"""Campaigns of `make chaos` that are always the same: the leader is killed, stopped and cut off; then any fault."""

import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepsynth_chaos.campaign import Campaign
from deepsynth_chaos.plan import FaultName, PlannedFault, draw_plan
from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.selection import temporary_cluster

pytestmark = pytest.mark.slow
CRDS = Path(__file__).parents[3] / "crds"
MAX_TAKEOVER_SECONDS = 15.0
BUSY_SECONDS = 20.0
"""On a machine that is busy with other tests, a single one may take longer."""
LEADER: tuple[FaultName, ...] = ("leader-stopped", "leader-cut-off")


@pytest.fixture
def control_plane() -> Iterator[BareCluster]:
    with temporary_cluster("chaos", nodes=0) as cluster:
        yield cluster


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(draw_plan(1, 20, only=("leader-killed",)), id="20 kills of the leader"),
        pytest.param(draw_plan(1, 10, only=LEADER), id="the leader stopped or cut off"),
        pytest.param(draw_plan(2, 12), id="any fault"),
    ],
)
def test_nothing_is_lost_or_done_twice(
    plan: tuple[PlannedFault, ...], control_plane: BareCluster, tmp_path: Path
) -> None:
    result = Campaign(control_plane, tmp_path).run(plan, CRDS)
    assert result.violations == []
    assert result.finished["TrainingRun Complete"] >= 3
    killed = result.takeovers.get("leader-killed", [])
    assert statistics.median(killed or [0]) <= MAX_TAKEOVER_SECONDS, killed
    assert max(killed, default=0) <= BUSY_SECONDS, killed
