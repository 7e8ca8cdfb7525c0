"""Whether the workers of a node have stopped sending heartbeats, and which of them is the cause. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.reasons import Reason
from deepsynth_api.report import Failure, Phase
from deepsynth_train.checkpoint.layout import REPORTS
from deepsynth_train.coordination.run_folder import Beat

PHASE_LIMITS: Mapping[Phase, float] = {
    "download": 3600,
    "start": 1800,
    "evaluate": 1800,
    "save": 3600,
    "publish": 3600,
    "done": 600,
}
"""Seconds without a beat, for the phases that spec.hangTimeoutSeconds does not cover."""

_STATES: Final[Mapping[str, str]] = {
    "T": "its process is stopped by a signal (SIGSTOP); send it SIGCONT, or find out who stops it",
    "t": "its process is stopped by a debugger",
    "D": "its process waits for the kernel (state D); look at the node's disks, network volumes and GPU driver",
}

OWN_COLLECTIVES: Final = (
    "/deepsynth_train/coordination/world.py",
    "/deepsynth_train/optimization/reduction.py",
    "/deepsynth_train/checkpoint/ranks.py",
)
"""Our files that start collectives and wait for them. On a GPU, World waits where it reads the result of one."""
_COLLECTIVES: Final = ("/torch/distributed/", "/torch/autograd/", "/torch/nn/parallel/distributed.py", *OWN_COLLECTIVES)
_SAVES: Final = "/deepsynth_train/checkpoint/folder.py"
"""Where the main thread waits for the thread that saves, which has collectives of its own."""
STOPPED: Final = ("T", "t")
"""States of a process that cannot do anything, not even write its stack."""


def build_limits(hang_timeout_seconds: float) -> dict[Phase, float]:
    return {**PHASE_LIMITS, "step": hang_timeout_seconds}


@dataclass(frozen=True)
class Hang:
    """The workers of this node have stopped sending heartbeats.

    culprit: local rank of the worker that most likely blocks the others; None if all wait for another node.
    beat: of the culprit, else the oldest of this node. stacks: text by local rank. state: see `describe_state`.
    is_stopped: the process of the culprit. last_heartbeat: that of `beat`, by the clock of this node.
    """

    culprit: int | None
    beat: Beat
    silent_seconds: float
    stacks: Mapping[int, str]
    state: str = ""
    is_stopped: bool = False
    last_heartbeat: datetime | None = None

    @property
    def message(self) -> str:
        silence = (
            f"sent no heartbeat for {self.silent_seconds:.0f} s in phase {self.beat.phase} after step {self.beat.step}"
        )
        where = f"the stacks of all ranks are in {REPORTS}/ next to the checkpoints"
        if self.culprit is None:
            return f"an unknown rank hangs: the ranks of this node {silence}, and all wait for another node; {where}"
        return f"rank {self.beat.rank} {silence}{self.state and f'; {self.state}'}; {where}"

    def describe(self, node: str) -> Failure:
        known = self.culprit is not None
        return Failure(
            reason=Reason.HUNG,
            message=self.message,
            exit_code=int(ExitCode.HUNG),
            rank=self.beat.rank if known else None,
            local_rank=self.culprit,
            node=node if known else None,
            exception=self.stacks.get(self.culprit) if self.culprit is not None else None,
            step=self.beat.step,
            last_heartbeat=self.last_heartbeat,
            is_stopped=self.is_stopped,
        )


def are_silent(
    beats: Mapping[int, Beat], limits: Mapping[Phase, float], now: float, states: Mapping[int, str] | None = None
) -> bool:
    """Whether every worker has exceeded the limit of its phase. One that hangs soon stops all others.

    states: of the processes, by local rank. A stopped one does not work on its phase, and the others cannot finish
    theirs without it: all have the limit of a step then.
    """
    longest = limits["step"] if any(state in STOPPED for state in (states or {}).values()) else math.inf
    return bool(beats) and all(now - beat.at > min(longest, limits[beat.phase]) for beat in beats.values())


def find_culprit(
    beats: Mapping[int, Beat],
    stacks: Mapping[int, str],
    states: Mapping[int, str] | None = None,
    *,
    num_nodes: int,
) -> int | None:
    """Local rank of a stopped worker, else of one that does not wait for its peers.

    Of several, the one with fewest steps and oldest beat. If all wait: None, because the culprit is on another node;
    with a single node, the one with fewest steps and oldest beat. A worker without a stack does not wait: it is stuck
    in the kernel.
    """
    stopped = [rank for rank in beats if (states or {}).get(rank) in STOPPED]
    suspects = stopped or [rank for rank in beats if not is_waiting(stacks.get(rank, ""))]
    if not suspects and num_nodes > 1:
        return None
    return min(suspects or beats, key=lambda rank: (beats[rank].step, beats[rank].at))


def describe_state(state: str) -> str:
    """What a process state of Linux says about a hang; "" if nothing."""
    return _STATES.get(state, "")


def describe_missing_stack(state: str, wait_channel: str) -> str:
    """What is shown for a process that did not write its stack. wait_channel: where it sleeps in the kernel."""
    where = f", in {wait_channel} of the kernel" if wait_channel not in {"", "0"} else ""
    reason = describe_state(state) or "it did not answer in time"
    return f"no stack: state {state or 'unknown'}{where}; {reason}\n"


def is_waiting(stack: str) -> bool:
    """Whether the main thread, the last of a dump, is in a collective, or in a backward pass that waits in one.

    It counts from the innermost frame to the first one of ours: what called the training does not matter.
    """
    others, _, main = stack.rpartition("most recent call first")
    frames = main.splitlines()[1:]
    ours = next((index for index, line in enumerate(frames) if "/deepsynth_train/" in line), 0)
    innermost = frames[: ours + 1]
    if any(place in line for line in innermost for place in _COLLECTIVES):
        return True
    waits_for_save = any(_SAVES in line for line in innermost)
    return waits_for_save and any(place in others for place in _COLLECTIVES)
