"""Whether the workers of a node have stopped sending heartbeats, and which of them is the cause. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


def build_limits(hang_timeout_seconds: float) -> dict[Phase, float]:
    return {**PHASE_LIMITS, "step": hang_timeout_seconds}


@dataclass(frozen=True)
class Hang:
    """local_rank: the worker that most likely blocks the others. stacks: text by local rank."""

    local_rank: int
    beat: Beat
    silent_seconds: float
    stacks: Mapping[int, str]

    @property
    def message(self) -> str:
        return (
            f"rank {self.beat.rank} sent no heartbeat for {self.silent_seconds:.0f} s in phase {self.beat.phase} after "
            f"step {self.beat.step}; the stacks of all ranks are in {REPORTS}/ next to the checkpoints"
        )

    def describe(self, node: str) -> Failure:
        return Failure(
            reason=Reason.HUNG,
            message=self.message,
            exit_code=int(ExitCode.HUNG),
            rank=self.beat.rank,
            local_rank=self.local_rank,
            node=node,
            exception=self.stacks.get(self.local_rank),
            step=self.beat.step,
        )

    def print(self) -> None:
        for local_rank, stack in self.stacks.items():
            for line in stack.splitlines():
                print(f"local rank {local_rank}: {line}", flush=True)


def are_silent(beats: Sequence[Beat], limits: Mapping[Phase, float], now: float) -> bool:
    """Whether every worker has exceeded the limit of its phase. One that hangs soon stops all others."""
    return bool(beats) and all(now - beat.at > limits[beat.phase] for beat in beats)


def find_culprit(beats: Mapping[int, Beat], stacks: Mapping[int, str]) -> int:
    """Local rank of a worker that does not wait for its peers, else the one with the fewest steps and oldest beat."""
    return min(beats, key=lambda rank: (is_waiting(stacks.get(rank, "")), beats[rank].step, beats[rank].at))


def is_waiting(stack: str) -> bool:
    """Whether the main thread, the last of a dump, is in a collective, or in a backward pass that waits in one."""
    top = stack.rpartition("most recent call first")[2].splitlines()[1:2]
    return any("/torch/distributed/" in line or "/torch/autograd/" in line for line in top)
