import re
from pathlib import Path

import pytest

import deepsynth_train
from deepsynth_train.coordination.run_folder import Beat
from deepsynth_train.launcher.hangs import (
    OWN_COLLECTIVES,
    Hang,
    are_silent,
    build_limits,
    describe_missing_stack,
    describe_state,
    find_culprit,
    is_waiting,
)

LIMITS = build_limits(10)

WAITING = """Thread 0x00007f1 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 324 in wait

Current thread 0x00007fc (most recent call first):
  File "/venv/site-packages/torch/distributed/distributed_c10d.py", line 4181 in all_reduce
  File "/app/deepsynth_train/loop.py", line 19 in train
"""
IN_BACKWARD = WAITING.replace("/torch/distributed/distributed_c10d.py", "/torch/autograd/graph.py")
STUCK = """Current thread 0x00007f4 (most recent call first):
  File "/app/deepsynth_train/data/loader.py", line 18 in read
  File "/venv/site-packages/torch/distributed/run.py", line 80 in main
"""


def beat(at: float, step: int = 5, phase: str = "step") -> Beat:
    return Beat(rank=0, phase=phase, step=step, at=at)  # type: ignore[arg-type]  # a Phase in every test


def test_workers_are_silent_when_every_one_has_exceeded_the_limit_of_its_phase() -> None:
    assert are_silent({0: beat(0), 1: beat(1)}, LIMITS, now=12)
    assert not are_silent({0: beat(0), 1: beat(5)}, LIMITS, now=12)
    assert not are_silent({}, LIMITS, now=12)


def test_other_phases_have_their_own_limits() -> None:
    beats = {0: beat(0, phase="download"), 1: beat(0)}
    assert not are_silent(beats, LIMITS, now=1000)
    assert are_silent(beats, LIMITS, now=4000)


@pytest.mark.parametrize("states", [{0: "T", 1: "S"}, {0: "S", 1: "T"}])
def test_while_a_process_is_stopped_all_have_the_limit_of_a_step_in_any_phase(states: dict[int, str]) -> None:
    """The other ranks of a save wait for it, and would do so for an hour."""
    beats = {0: beat(0, phase="save"), 1: beat(0)}
    assert are_silent(beats, LIMITS, now=12, states=states)
    assert not are_silent(beats, LIMITS, now=9, states=states)
    assert not are_silent({**beats, 1: beat(8)}, LIMITS, now=12, states=states), "one of them works"
    assert not are_silent(beats, LIMITS, now=12, states={0: "S", 1: "S"})


def test_a_stopped_process_is_the_culprit_before_one_that_does_not_wait() -> None:
    beats = {0: beat(1, step=4), 1: beat(2)}
    assert find_culprit(beats, {0: STUCK, 1: ""}, {0: "R", 1: "T"}, num_nodes=2) == 1
    assert find_culprit(beats, {0: STUCK, 1: WAITING}, {0: "R", 1: "S"}, num_nodes=2) == 0


IN_REDUCTION = """Thread 0x00007f1 (most recent call first):
  File "/usr/lib/python3.11/concurrent/futures/thread.py", line 81 in _worker

Current thread 0x00007fc (most recent call first):
  File "/app/deepsynth_train/optimization/reduction.py", line 101 in finish
  File "/app/deepsynth_train/optimization/step.py", line 81 in run
"""
BELOW_AN_OPERATOR = """Current thread 0x00007fc (most recent call first):
  File "/venv/site-packages/torch/_ops.py", line 1255 in __call__
  File "/venv/site-packages/torch/distributed/_functional_collectives.py", line 137 in wait_tensor
  File "/app/deepsynth_train/optimization/step.py", line 81 in run
"""
FOR_A_SAVE = """Thread 0x00007f1 (most recent call first):
  File "/venv/site-packages/torch/distributed/distributed_c10d.py", line 5430 in all_gather_single
  File "/app/deepsynth_train/checkpoint/ranks.py", line 45 in gather

Current thread 0x00007fc (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait
  File "/app/deepsynth_train/checkpoint/folder.py", line 115 in save
"""


@pytest.mark.parametrize("stack", [IN_REDUCTION, BELOW_AN_OPERATOR, FOR_A_SAVE])
def test_a_rank_also_waits_in_our_own_code_below_an_operator_and_through_its_saving_thread(stack: str) -> None:
    assert is_waiting(stack)


def test_a_rank_that_waits_for_a_slow_disk_while_it_saves_does_not_wait_for_others() -> None:
    assert not is_waiting(FOR_A_SAVE.replace("/torch/distributed/", "/safetensors/").replace("ranks.py", "shards.py"))


def test_every_file_of_ours_that_waits_in_collectives_is_known() -> None:
    starts = re.compile(r"\bdist\.(all_|broadcast|barrier|reduce|gather|scatter|send|recv|monitored)|handle\.wait\(")
    package = Path(deepsynth_train.__file__).parent
    found = {
        f"/{path.relative_to(package.parent)}" for path in package.rglob("*.py") if starts.search(path.read_text())
    }
    assert found == set(OWN_COLLECTIVES)


def test_a_process_without_a_stack_is_described_by_its_state() -> None:
    assert describe_missing_stack("T", "do_signal_stop") == (
        "no stack: state T, in do_signal_stop of the kernel; its process is stopped by a signal (SIGSTOP); send it "
        "SIGCONT, or find out who stops it\n"
    )
    assert describe_missing_stack("S", "0") == "no stack: state S; it did not answer in time\n"


def test_the_rank_that_does_not_wait_in_a_collective_is_the_culprit() -> None:
    beats = {0: beat(1), 1: beat(2), 2: beat(0)}
    assert find_culprit(beats, {0: WAITING, 1: STUCK, 2: IN_BACKWARD}, num_nodes=1) == 1


def test_without_stacks_the_rank_with_the_fewest_steps_and_the_oldest_beat_is_the_culprit() -> None:
    assert find_culprit({0: beat(1, step=6), 1: beat(2, step=5)}, {}, num_nodes=2) == 1
    assert find_culprit({0: beat(2), 1: beat(1)}, {}, num_nodes=2) == 1


def test_a_rank_without_a_stack_is_the_culprit_because_waiting_ranks_write_theirs() -> None:
    beats = {0: beat(1), 1: beat(2), 2: beat(0)}
    assert find_culprit(beats, {0: WAITING, 1: "", 2: WAITING}, num_nodes=2) == 1
    assert find_culprit(beats, {0: WAITING, 2: WAITING}, num_nodes=1) == 1


def test_if_all_ranks_wait_the_culprit_is_on_another_node_or_has_the_oldest_beat() -> None:
    beats, stacks = {0: beat(2), 1: beat(1)}, {0: WAITING, 1: IN_BACKWARD}
    assert find_culprit(beats, stacks, num_nodes=2) is None
    assert find_culprit(beats, stacks, num_nodes=1) == 1


def test_a_hang_on_another_node_is_described_as_that_of_an_unknown_rank() -> None:
    failure = Hang(None, Beat(9, "step", 12, 0.0), 600.4, {1: WAITING}).describe("node-a")
    assert (failure.reason, failure.exit_code, failure.rank, failure.local_rank, failure.node) == (
        "Hung",
        79,
        *[None] * 3,
    )
    assert failure.message.startswith(
        "an unknown rank hangs: the ranks of this node sent no heartbeat for 600 s in phase"
    )


@pytest.mark.parametrize(
    ("state", "words"), [("T", "stopped by a signal (SIGSTOP)"), ("D", "kernel (state D)"), ("S", "")]
)
def test_the_state_of_the_process_is_part_of_the_message(state: str, words: str) -> None:
    hang = Hang(1, Beat(9, "step", 12, 0.0), 600.4, {}, describe_state(state))
    assert words in hang.message


def test_only_the_innermost_frame_of_the_main_thread_decides_whether_a_rank_waits() -> None:
    assert is_waiting(WAITING)
    assert is_waiting(IN_BACKWARD)
    assert not is_waiting(STUCK)
    assert not is_waiting("")


def test_a_hang_is_described_with_rank_phase_step_and_stack() -> None:
    failure = Hang(1, Beat(9, "step", 12, 0.0), 600.4, {1: STUCK}).describe("node-a")
    assert (failure.reason, failure.exit_code, failure.rank, failure.local_rank, failure.step) == ("Hung", 79, 9, 1, 12)
    assert "sent no heartbeat for 600 s in phase step after step 12" in failure.message
    assert failure.exception == STUCK
