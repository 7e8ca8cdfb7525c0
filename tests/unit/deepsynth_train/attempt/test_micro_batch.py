"""What spec.microBatchSize: auto chooses for."""

from pathlib import Path

import pytest

from deepsynth_train.attempt.micro_batch import count_fewest_processes
from support.training.tiny_training import build_world
from support.training.train_workloads import build_train_workload


@pytest.mark.parametrize(("min_nodes", "size", "expected"), [(None, 8, 8), (2, 8, 4), (2, 2, 2)])
def test_memory_is_estimated_for_the_smallest_attempt(
    min_nodes: int | None, size: int, expected: int, tmp_path: Path
) -> None:
    workload = build_train_workload(tmp_path, num_nodes=4, num_proc_per_node=2, min_nodes=min_nodes)
    assert count_fewest_processes(workload, build_world(size=size)) == expected
