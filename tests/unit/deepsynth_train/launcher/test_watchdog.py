"""When a node's workers hang, and how long it leaves another node to say why."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from deepsynth_train.coordination.run_folder import Beat, RunFolder
from deepsynth_train.launcher.hangs import build_limits
from deepsynth_train.launcher.watchdog import Watchdog

if TYPE_CHECKING:
    from deepsynth_train.launcher.workers import Workers

WAITING = 'Current thread 0x1 (most recent call first):\n  File "/torch/distributed/ring.py", line 1 in wait\n'


class StillWorkers:
    """Workers that do nothing but write their stacks when asked."""

    stopping_since = None

    def __init__(self, folder: RunFolder, stacks: list[str]) -> None:
        self.living = list(range(len(stacks)))
        self.killed_at: float | None = None
        self.asked = 0
        self._folder = folder
        self._stacks = stacks
        for rank in self.living:
            folder.stacks(rank).touch()

    def request_stacks(self, local_ranks: list[int]) -> None:
        self.asked += 1
        for rank in local_ranks:
            with self._folder.stacks(rank).open("a") as file:
                file.write(self._stacks[rank])

    def read_state(self, _: int) -> str:
        return "S"

    def read_wait_channel(self, _: int) -> str:
        return ""

    def kill(self) -> None:
        self.killed_at = time.monotonic()


@pytest.mark.parametrize(
    ("num_nodes", "stacks", "culprit", "looks"),
    [
        pytest.param(2, [WAITING, WAITING], None, 2, id="all wait for another node"),
        pytest.param(2, [WAITING, ""], 1, 1, id="one of this node does not wait"),
        pytest.param(1, [WAITING, WAITING], 0, 1, id="there is no other node"),
    ],
)
def test_a_node_whose_workers_all_wait_leaves_another_node_to_report(
    num_nodes: int, stacks: list[str], culprit: int | None, looks: int, tmp_path: Path
) -> None:
    folder, started = RunFolder(tmp_path), time.monotonic()
    workers = StillWorkers(folder, stacks)
    for rank in workers.living:
        folder.write_beat(rank, Beat(rank, "step", 4, started))
    watchdog = Watchdog(
        folder,
        cast("Workers", workers),
        build_limits(0.1),
        num_nodes=num_nodes,
        stacks_wait=0.3,
        other_node_wait=0.6,
    )
    with watchdog:
        while workers.killed_at is None:
            time.sleep(0.01)
    assert watchdog.hang is not None
    assert watchdog.hang.culprit == culprit
    assert workers.asked == looks
    assert looks == 1 or workers.killed_at - started > 0.7
    assert set(watchdog.hang.stacks) == {0, 1}
