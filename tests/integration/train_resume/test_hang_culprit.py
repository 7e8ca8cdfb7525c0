"""Which rank is named when a worker on one of two nodes is stopped: two launchers, four ranks, real collectives."""

import os
import signal
from pathlib import Path

import pytest

from deepsynth_api.exit_codes import ExitCode
from integration.train_resume.test_train_attempts import Attempt, build_document
from support.free_port import find_free_port
from support.training.page_dataset import build_documents, write_dataset

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("stopped", [0, 3])
def test_the_stopped_rank_is_named_and_ranks_that_wait_for_it_are_not(tmp_path: Path, stopped: int) -> None:
    pages = write_dataset(tmp_path / "pages", {"train": build_documents(6)})
    document = build_document(tmp_path, pages, num_nodes=2, hang_timeout_seconds=10)
    address = f"127.0.0.1:{find_free_port()}"
    nodes = [start_node(tmp_path / f"node-{rank}", document, rank, address) for rank in range(2)]
    try:
        nodes[0].wait_for("step", 5)
        os.kill(nodes[stopped // 2].find_worker(stopped), signal.SIGSTOP)
        ends = [node.wait(300) for node in nodes]
    finally:
        for node in nodes:
            node.process.kill()  # its workers end with it
    codes, reports = [end[0] for end in ends], [end[1] for end in ends]
    with_it, without_it = stopped // 2, 1 - stopped // 2
    assert codes[with_it] == ExitCode.HUNG, ends
    failure = reports[with_it].failure
    assert failure is not None
    assert (failure.rank, failure.local_rank, failure.node) == (stopped, stopped % 2, f"node-{with_it}")
    assert "its process is stopped by a signal (SIGSTOP)" in failure.message
    stem = f"attempt-1-node-{with_it}-local-rank-{stopped % 2}-stacks.txt"
    assert (tmp_path / "checkpoints/reports" / stem).read_text().startswith("no stack: state T")
    others = reports[without_it].failure
    assert others is not None
    assert codes[without_it] in {ExitCode.PEER_LOST, ExitCode.HUNG}
    assert others.reason == "PeerLost" or others.rank is None, "it blames none of its own ranks"


def start_node(folder: Path, document: str, rank: int, address: str) -> Attempt:
    folder.mkdir()
    return Attempt(
        folder,
        document,
        DEEPSYNTH_MASTER_ADDRESS=address,
        DEEPSYNTH_NODE_NAME=f"node-{rank}",
        GLOO_SOCKET_IFNAME="lo",
        JOB_COMPLETION_INDEX=str(rank),
    )
