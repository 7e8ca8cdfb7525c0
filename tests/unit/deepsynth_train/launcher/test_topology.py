from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_train.launcher.topology import build_topology
from support.training.train_workloads import build_train_workload


def test_a_single_node_uses_any_free_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPSYNTH_MASTER_ADDRESS", raising=False)
    topology = build_topology(build_train_workload(tmp_path))
    assert (topology.master_host, topology.master_port, topology.node_rank) == ("localhost", 0, 0)


def test_several_nodes_meet_at_the_address_of_node_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_MASTER_ADDRESS", "run-0.run:29400")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "3")
    topology = build_topology(build_train_workload(tmp_path, num_nodes=4))
    assert (topology.master_host, topology.master_port, topology.node_rank) == ("run-0.run", 29400, 3)


@pytest.mark.parametrize("address", ["", "host", "host:", ":1", "host:port"])
def test_several_nodes_without_an_address_are_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DEEPSYNTH_MASTER_ADDRESS", address)
    with pytest.raises(ConfigurationError, match="DEEPSYNTH_MASTER_ADDRESS: must be HOST:PORT"):
        build_topology(build_train_workload(tmp_path, num_nodes=2))
