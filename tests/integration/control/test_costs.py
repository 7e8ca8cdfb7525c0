"""What runs and generations cost: from their own pods, at the price of their start, and nothing twice."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from deepsynth_api.report import PlanReport, RenderReport, Report, TrainReport
from deepsynth_api.v1alpha1.dataset_generation_status import PlannedSplit
from deepsynth_api.v1alpha1.shared.usage import Cost
from deepsynth_operator.core.prices import PriceTable, parse_prices
from support.cluster.cluster_faults import QueueingCluster
from support.control.controller import SETTINGS, Controller
from support.resources.builders import a_dataset_generation, a_training_run

NAME = "read-xsum"
GPUS = {"limits": {"nvidia.com/gpu": 4, "cpu": 8}}
PRICES = parse_prices("{currency: USD, entries: [{perHour: {nvidia.com/gpu: 3.60, cpu: 0.36}}]}", "prices")
"""A GPU costs 0.001 a second, a CPU 0.0001: an attempt of four GPUs and eight CPUs 0.0048."""
TWO_CPUS = {"resources": {"requests": {"cpu": 2}}}


@pytest.fixture
def control() -> Iterator[Controller]:
    controller = Controller(QueueingCluster, replace(SETTINGS, prices=PRICES), nodes=("node-a", "node-b"))
    yield controller
    controller.close()


def use(control: Controller, prices: PriceTable) -> None:
    control.settings = replace(control.settings, prices=prices)


def usd(amount: str, lost: str = "0") -> Cost:
    return Cost(currency="USD", amount=amount, lost=lost)


def build_report(control: Controller, step: int, saved: int = 0) -> Report:
    train = TrainReport(attempt=1, phase="step", step=step, total_steps=100, saved_step=saved)
    return Report(step="train", time=control.clock.now(), train=train)


def complete(control: Controller, attempt: int = 1) -> None:
    control.end(f"{NAME}-train-{attempt}-0", 0, build_report(control, 100, saved=100))
    control.settle()


def plan(control: Controller) -> None:
    splits = [PlannedSplit(name="train", rows=30)]
    report = PlanReport(revision="r1", digest="d1", splits=splits, shards=3, rows_read=30)
    control.end("xsum-plan-1-0", 0, Report(step="plan", time=control.clock.now(), plan=report))
    control.settle()


def build_shard(control: Controller, index: int, documents: int = 10) -> Report:
    shard = RenderReport(shard=index, documents_total=10, documents=documents, pages=documents)
    return Report(step="render", time=control.clock.now(), render=shard)


def render(control: Controller, *indexes: int, number: int = 1) -> None:
    for index in indexes:
        control.end(f"xsum-render-{number}-{index}", 0, build_shard(control, index))
    control.settle()


def start_run(control: Controller) -> None:
    control.apply(a_training_run().with_spec(resourcesPerNode=GPUS).to_manifest())


def test_a_run_costs_its_gpus_and_cpus_and_what_was_lost_is_shown_apart(control: Controller) -> None:
    start_run(control)
    control.advance(50)
    control.report(f"{NAME}-train-1-0", build_report(control, 9, saved=9))
    control.settle()
    control.advance(20)
    control.end(f"{NAME}-train-1-0", 1)
    control.settle()
    usage = control.get_run().status.usage
    assert (usage.gpu_seconds, usage.lost_gpu_seconds) == (280, 80)
    assert (usage.cpu_seconds, usage.lost_cpu_seconds) == (560, 160)
    assert usage.cost == usd("0.336", "0.096")


def test_a_price_that_changes_counts_for_what_starts_later(control: Controller) -> None:
    start_run(control)
    control.advance(100)
    use(control, parse_prices("{currency: USD, entries: [{perHour: {nvidia.com/gpu: 36}}]}", "prices"))
    control.advance(100)
    control.end(f"{NAME}-train-1-0", 1)
    control.settle()
    control.advance(60)
    first, second = control.get_run().status.attempts
    assert first.cost == usd("0.96", "0.96")
    control.advance(100)
    complete(control, attempt=2)
    status = control.get_run().status
    assert status.attempts[0].cost == first.cost
    assert second.price is not None
    assert second.price.amount == "144"
    use(control, PRICES)
    control.settle()
    assert control.get_run().status.usage == status.usage


def test_an_operator_that_starts_again_counts_nothing_twice(control: Controller) -> None:
    start_run(control)
    control.advance(100)
    control.report(f"{NAME}-train-1-0", build_report(control, 9))
    for _ in range(5):
        control.settle()
    control.advance(100)
    complete(control)
    status = control.get_run().status
    assert status.usage.cost == status.attempts[0].cost == usd("0.96")


def test_without_prices_nothing_has_a_cost_but_time_is_counted(control: Controller) -> None:
    use(control, PriceTable())
    start_run(control)
    control.advance(100)
    complete(control)
    status = control.get_run().status
    assert (status.usage.cost, status.attempts[0].price, status.usage.cpu_seconds) == (None, None, 800)


def start_rendering(control: Controller) -> None:
    control.apply(a_dataset_generation().with_spec(parallelism=3, template=TWO_CPUS).to_manifest())
    plan(control)


def test_a_generation_costs_the_time_of_each_of_its_pods(control: Controller) -> None:
    start_rendering(control)
    control.advance(100)
    render(control, 0)
    control.advance(100)
    control.end("xsum-render-1-1", 1, build_shard(control, 1, documents=4))
    control.advance(100)
    render(control, 1, 2)
    status = control.get_generation().status
    assert [job.step for job in status.jobs] == ["plan", "render", "publish"]
    job = status.jobs[1]
    assert (job.pod_seconds, job.lost_pod_seconds) == (690, 200), "a failed shard starts again after ten seconds"
    assert job.cost == status.usage.cost == usd("0.138", "0.04")
    assert (status.usage.cpu_seconds, status.usage.lost_cpu_seconds) == (1380, 400)


def test_pods_that_are_gone_for_long_still_count(control: Controller) -> None:
    start_rendering(control)
    control.advance(100)
    control.end("xsum-render-1-0", 1)
    control.advance(30)
    for minute in range(20):
        control.report("xsum-render-1-1", build_shard(control, 1, documents=minute % 10))
        control.advance(60, step=30)
    counted = control.get_generation().status.jobs[-1]
    assert counted.settled is not None
    for pod in control.cluster.store.select("Pod"):
        if pod["status"].get("phase") == "Failed":
            control.cluster.delete_object("Pod", "default", pod["metadata"]["name"])
    control.advance(1200, step=60)
    render(control, 0, 1, 2)
    job = control.get_generation().status.jobs[1]
    assert (job.lost_pod_seconds, job.pod_seconds) == (100, 3 * 2530 - 10), "each index had one pod at a time"


def test_a_generation_that_is_made_again_keeps_what_its_earlier_jobs_cost(control: Controller) -> None:
    start_rendering(control)
    control.advance(100)
    control.cluster.delete_object("Job", "default", "xsum-render-1")
    control.advance(120)
    render(control, 0, 1, 2, number=2)
    status = control.get_generation().status
    lost, done = status.jobs[1:3]
    assert lost.outcome == "Disrupted"
    total = status.usage
    assert total.cpu_seconds == lost.cpu_seconds + done.cpu_seconds
    assert total.lost_cpu_seconds == lost.lost_cpu_seconds > 0
