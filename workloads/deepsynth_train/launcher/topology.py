"""The rank of this node among the nodes of an attempt, where they meet, and the environment of its workers."""

import os
from dataclasses import dataclass

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.workload import COMPLETION_INDEX_VARIABLE, MASTER_ADDRESS_VARIABLE, TrainWorkload

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1",
}
"""Defaults for the workers; the pod's own variables win. One thread per worker, because workers share the cores."""


@dataclass(frozen=True)
class Topology:
    """master_port: 0 for any free port, with a single node."""

    node_rank: int
    num_nodes: int
    num_proc_per_node: int
    master_host: str
    master_port: int
    run_id: str


def build_topology(workload: TrainWorkload) -> Topology:
    """From the document and the environment.

    Raises ConfigurationError when there are several nodes and no rendezvous address.
    """
    single = workload.num_nodes == 1
    address = "localhost:0" if single else os.environ.get(MASTER_ADDRESS_VARIABLE, "")
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        raise ConfigurationError(f"{MASTER_ADDRESS_VARIABLE}: must be HOST:PORT of node 0, got {address!r}")
    return Topology(
        node_rank=0 if single else int(os.environ.get(COMPLETION_INDEX_VARIABLE, "0")),
        num_nodes=workload.num_nodes,
        num_proc_per_node=workload.num_proc_per_node,
        master_host=host,
        master_port=int(port),
        run_id=f"{workload.uid}-{workload.attempt}",
    )


def set_worker_environment(topology: Topology) -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if topology.num_nodes == 1:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the host name may not resolve
