"""How many lines `kubectl get -w` prints: one for each write of the status.

T seconds of a run cost at most 4 + C + T/30 writes: two until its Job is there, one when it runs, one at its end, one
for each of C checkpoints, one per two poll intervals of 15 seconds in which progress was made, none in which nothing
moved. A generation costs at most 7 + T/30. A disruption, a failure or a suspension costs at most four more.
"""

from typing import Any

from deepsynth_operator.core.settings import PROGRESS_POLLS
from integration.gitops.lives import GENERATION, RUN, Sight, end, plan, publish, report_shard, report_step, watch
from support.cluster.cluster_faults import disrupt
from support.control.controller import SETTINGS, Controller
from support.resources.builders import a_dataset_generation, a_training_run

HOUR = 3600
START_AND_END = 4
INCIDENT = 4


def step_for(control: Controller, seconds: int, attempt: int = 1, **fields: Any) -> None:
    """A step a second, the controller looking twice as often as it has to."""
    pod = f"{RUN}-train-{attempt}-0"
    for second in range(0, seconds, 5):
        report = report_step(control, second, attempt, total=HOUR)
        control.report(pod, report.updated(train=report.train and report.train.updated(**fields)))
        control.clock.advance(5)
        control.settle()


def count_writes(sights: list[Sight]) -> int:
    return len(sights) - 1


def test_an_hour_of_steps_costs_a_write_per_two_polls_and_four_more() -> None:
    def live(control: Controller) -> None:
        control.apply(a_training_run().to_manifest())
        step_for(control, HOUR)
        end(control, 0)

    intervals = HOUR // (PROGRESS_POLLS * SETTINGS.poll_seconds)
    assert intervals <= count_writes(watch("TrainingRun", live)) <= intervals + START_AND_END


def test_an_hour_in_which_nothing_moves_costs_nothing() -> None:
    def live(control: Controller) -> None:
        control.apply(a_training_run().to_manifest())
        control.report(f"{RUN}-train-1-0", report_step(control, 1))
        control.advance(HOUR, step=15)
        end(control, 0)

    assert count_writes(watch("TrainingRun", live)) <= START_AND_END


def test_a_disruption_costs_four_writes() -> None:
    def live(control: Controller) -> None:
        control.apply(a_training_run().to_manifest())
        control.report(f"{RUN}-train-1-0", report_step(control, 1))
        control.advance(60)
        disrupt(control.cluster, f"{RUN}-train-1-0")
        control.settle()
        control.advance(60)
        control.report(f"{RUN}-train-2-0", report_step(control, 1, attempt=2))
        control.advance(60)
        end(control, 0, attempt=2)

    assert count_writes(watch("TrainingRun", live)) <= START_AND_END + INCIDENT


def test_a_generation_costs_a_write_per_two_polls_and_seven_more() -> None:
    shards, seconds = 8, 120

    def live(control: Controller) -> None:
        control.apply(a_dataset_generation().with_spec(parallelism=1).to_manifest())
        plan(control, shards)
        for index in range(shards):
            pod = f"{GENERATION}-render-1-{index}"
            for second in range(0, seconds, 5):
                control.report(pod, report_shard(control, index, documents=second * 10 // seconds))
                control.clock.advance(5)
                control.settle()
            control.end(pod, 0, report_shard(control, index, documents=10))
            control.settle()
        publish(control)

    writes = count_writes(watch("DatasetGeneration", live))
    assert writes <= 7 + shards * seconds // (PROGRESS_POLLS * SETTINGS.poll_seconds)
