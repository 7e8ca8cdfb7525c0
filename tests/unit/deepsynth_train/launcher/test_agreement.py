"""The launchers of all nodes come to the same verdict, or none of them starts its workers again."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from deepsynth_api.errors import PeerLostError
from deepsynth_api.report import Failure, TrainReport
from deepsynth_train.launcher.agreement import ENDS_WAIT, VERDICT_WAIT, Agreement
from deepsynth_train.launcher.in_place import Budget, NodeEnd, Verdict, judge

KILLED = Failure(reason="WorkerKilled", message="killed", exit_code=137)
NODES = 3


@dataclass
class MemoryBoard:
    """gone: node 0's pod has ended."""

    texts: dict[str, str] = field(default_factory=dict)
    gone: bool = False

    def write(self, key: str, text: str) -> None:
        self._check()
        self.texts[key] = text

    def read(self, key: str) -> str | None:
        self._check()
        return self.texts.get(key)

    def _check(self) -> None:
        if self.gone:
            raise PeerLostError("the store of node 0 does not answer")


def judge_all(ends: Sequence[NodeEnd]) -> Verdict:
    return judge(ends, NODES, Budget(allowed=5), TrainReport(attempt=1))


def run_alone(board: MemoryBoard, rank: int, while_waiting: Callable[[float], None], **end: object) -> Verdict:
    """The verdict of one node. while_waiting: what the others do meanwhile; it gets the seconds that have passed."""
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += seconds
        while_waiting(now[0])

    agreement = Agreement(board, 0, NODES, pause=pause, clock=lambda: now[0])
    fields = {"failure": KILLED, **end}
    return agreement.reach(NodeEnd.model_validate({"nodeRank": rank, **fields}), judge_all)


def nothing(_now: float) -> None: ...


def never(_now: float) -> None:
    pytest.fail("the verdict is there already")


def post(board: MemoryBoard, rank: int, **end: object) -> None:
    node = NodeEnd.model_validate({"nodeRank": rank, "failure": KILLED, **end})
    board.write(f"0/end/{rank}", node.model_dump_json(by_alias=True))


def test_all_nodes_follow_the_verdict_of_node_0() -> None:
    board = MemoryBoard()
    post(board, 1)
    verdict = run_alone(board, 0, lambda now: post(board, 2) if now > 5 else None)
    assert verdict.restart is not None
    for rank in (1, 2):
        assert run_alone(board, rank, never) == verdict


def test_node_0_refuses_when_a_node_does_not_report_in_time() -> None:
    board, seen = MemoryBoard(), list[float]()
    post(board, 1)
    verdict = run_alone(board, 0, seen.append)
    assert verdict.refusal == "nodes 2 did not report how their workers ended"
    assert ENDS_WAIT <= seen[-1] < ENDS_WAIT + 1
    assert run_alone(board, 1, never) == verdict


def test_an_obstacle_is_not_waited_for_the_others() -> None:
    board = MemoryBoard()
    verdict = run_alone(board, 0, never, obstacle="its workers have finished")
    assert "node 0" in verdict.refusal


def test_a_node_refuses_when_node_0_is_gone_or_decides_nothing() -> None:
    board = MemoryBoard()
    assert "did not decide" in run_alone(board, 1, nothing).refusal
    board.gone = True
    assert "gone" in run_alone(board, 1, never).refusal


def test_no_verdict_of_an_earlier_round_is_taken() -> None:
    board = MemoryBoard()
    board.write("0/verdict", Verdict(refusal="of round 0").model_dump_json())
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += seconds

    agreement = Agreement(board, 1, NODES, pause=pause, clock=lambda: now[0])
    verdict = agreement.reach(NodeEnd(node_rank=1, failure=KILLED), judge_all)
    assert "did not decide" in verdict.refusal
    assert not agreement.has_failure()
    agreement.announce_failure()
    assert agreement.has_failure()


@pytest.mark.parametrize("seed", range(200))
def test_no_two_nodes_decide_differently_in_any_order_of_events(seed: int) -> None:
    """Nodes report in any order, late, or never, and node 0 may die at any moment."""
    chance = random.Random(seed)
    board = MemoryBoard()
    ends = {rank: chance.choice([0.0, 1.0, 20.0, ENDS_WAIT + 30.0, float("inf")]) for rank in range(1, NODES)}
    death = chance.choice([float("inf"), 0.5, 10.0, 30.0])
    verdicts: dict[int, Verdict] = {}

    def pause(now: float) -> None:
        for rank, moment in ends.items():
            if now >= moment and f"0/end/{rank}" not in board.texts:
                post(board, rank)
        if now >= death:
            board.gone = True

    verdicts[0] = run_alone(board, 0, pause)
    for rank, moment in ends.items():
        if moment < float("inf"):
            verdicts[rank] = run_alone(board, rank, nothing)
    for verdict in verdicts.values():
        if verdict.restart is not None:
            assert verdict == verdicts[0]
            assert len(verdicts) == NODES, "all nodes have reported"
    assert VERDICT_WAIT > ENDS_WAIT, "a node waits longer than node 0 decides"
