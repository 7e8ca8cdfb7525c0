"""The launchers of all nodes agree whether their workers start again in the same pods.

    every node    its workers have ended ──▶ writes its NodeEnd ──▶ waits for the verdict
    node 0                                   reads those of all nodes, judges, writes the verdict

Node 0 alone decides, and once, so no two nodes can decide differently. A node that does not learn the verdict ends its
pod, which ends the Job and with it all pods: what the others have begun meanwhile ends too.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from deepsynth_api.errors import PeerLostError
from deepsynth_train.launcher.in_place import NodeEnd, Verdict

ENDS_WAIT: Final = 45.0
"""Seconds for the workers of all nodes to end after the first has failed: a peer may hang until it is killed."""
VERDICT_WAIT: Final = 60.0
_PAUSE: Final = 0.1


class Board(Protocol):
    """Texts by key, for all launchers of an attempt. Raises PeerLostError once node 0 is gone."""

    def write(self, key: str, text: str) -> None: ...

    def read(self, key: str) -> str | None: ...


@dataclass(frozen=True)
class Agreement:
    """Of one round: the workers that were started together. restart: their number, from 0."""

    board: Board
    restart: int
    num_nodes: int
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def announce_failure(self) -> None:
        """A worker of this node has failed, so those of the others cannot continue."""
        self.board.write(f"{self.restart}/failed", "true")

    def has_failure(self) -> bool:
        return self.board.read(f"{self.restart}/failed") is not None

    def reach(self, end: NodeEnd, judge: Callable[[Sequence[NodeEnd]], Verdict]) -> Verdict:
        """The verdict of node 0. Called on every node, with its own end."""
        try:
            self.board.write(f"{self.restart}/end/{end.node_rank}", end.model_dump_json(by_alias=True))
            return self._follow() if end.node_rank else self._lead(judge)
        except PeerLostError as error:
            return Verdict(refusal=f"node 0 is gone: {error.message}")

    def _lead(self, judge: Callable[[Sequence[NodeEnd]], Verdict]) -> Verdict:
        deadline = self.clock() + ENDS_WAIT
        while True:
            ends = self._read_ends()
            is_decided = len(ends) == self.num_nodes or any(end.obstacle for end in ends)
            if is_decided or self.clock() >= deadline:
                break
            self.pause(_PAUSE)
        verdict = judge(ends)
        self.board.write(f"{self.restart}/verdict", verdict.model_dump_json(by_alias=True))
        return verdict

    def _read_ends(self) -> list[NodeEnd]:
        texts = [self.board.read(f"{self.restart}/end/{rank}") for rank in range(self.num_nodes)]
        return [NodeEnd.model_validate_json(text) for text in texts if text is not None]

    def _follow(self) -> Verdict:
        deadline = self.clock() + VERDICT_WAIT
        while (text := self.board.read(f"{self.restart}/verdict")) is None:
            if self.clock() >= deadline:
                return Verdict(refusal=f"node 0 did not decide within {VERDICT_WAIT:.0f} s")
            self.pause(_PAUSE)
        return Verdict.model_validate_json(text)
