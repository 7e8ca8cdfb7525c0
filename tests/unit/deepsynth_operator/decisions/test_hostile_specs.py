"""The longest values that the CRD allows in a spec: the status fits, also with the longest reports of pods."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.crd.schema import build_schema
from deepsynth_api.reasons import Reason
from deepsynth_api.report import Failure, Report, TrainReport
from deepsynth_api.report_bounds import bound_report
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_api.v1alpha1.shared.patterns import MAX_QUANTITY_LENGTH
from deepsynth_api.v1alpha1.shared.usage import Cost, HourlyPrice
from deepsynth_operator.core.observed import Children, ObservedPod, ObservedRun
from deepsynth_operator.decisions.shared.decision import Decision
from deepsynth_operator.decisions.shared.status_budget import MAX_STATUS_BYTES, measure_status
from deepsynth_operator.decisions.training_run.decide import decide_run
from support.clocks.manual_clock import START
from support.control.seen import COMPLETE_JOB, FAILED_JOB, RUNNING_JOB, SETTINGS, a_live_run, a_pod
from support.resources.builders import a_training_run

SPEC = build_schema("TrainingRun")["properties"]["spec"]["properties"]
DATASETS, IMAGE, URI = SPEC["datasets"], SPEC["image"], SPEC["checkpoint"]["properties"]["uri"]
CHARACTERS = ["x", "<", "\u2028", "\U0001f600"]


def build_uri(character: str, length: int) -> str:
    return "file:///" + character * (length - 8)


def build_datasets(character: str, length: int) -> list[dict[str, Any]]:
    name = DATASETS["items"]["properties"]["name"]["maxLength"]
    return [
        {"name": f"d{number:0{name - 1}}", "uri": build_uri(character, length), "revision": "r" * 64}
        for number in range(DATASETS["maxItems"])
    ]


def find_longest_uri(character: str) -> int:
    """Characters of each URI with which a run still starts."""
    low, high = 8, int(URI["maxLength"])
    while low < high:
        middle = (low + high + 1) // 2
        run = a_training_run().with_spec(datasets=build_datasets(character, middle)).build()
        low, high = (middle, high) if start(run).status.start_time else (low, middle - 1)
    return low


def start(run: TrainingRun) -> Decision[Any]:
    return decide_run(ObservedRun(run), SETTINGS, START)


def build_pods(character: str) -> list[ObservedPod]:
    """Two pods with the longest reports."""
    long = character * 5000
    checkpoints = [{"step": step, "uri": long, "time": START, "loss": long, "metric": long} for step in range(64)]
    fields: dict[str, Any] = {
        "checkpoints": checkpoints,
        "best_checkpoint": checkpoints[0],
        "metrics": [{"name": f"{n}{long}", "value": long, "step": 1} for n in range(64)],
        "samples": [{"name": long, "step": 1, "reference": long, "written": long}] * 64,
        "dropped": [{"reason": f"Reason{n}", "rows": 1} for n in range(600)],
        "notes": [f"{n}{long}" for n in range(64)],
        "output": {"uri": long, "note": long, "revision": long, "sha256": long},
    }
    train = TrainReport.model_validate({"attempt": 10, "step": 9, **fields})
    failure = Failure(reason="x" * 900, message=long, exit_code=1, node=long)
    report = bound_report(Report(step="train", time=START, train=train, failure=failure))
    return [replace(a_pod(index), report=report) for index in range(2)]


@pytest.mark.parametrize("character", CHARACTERS)
@pytest.mark.parametrize("end", ["running", "failed", "complete"])
def test_a_status_of_the_longest_specs_reports_and_prices_fits(character: str, end: str) -> None:
    image = "x" * int(IMAGE["maxLength"])
    spec: dict[str, Any] = {
        "datasets": build_datasets(character, find_longest_uri(character)),
        "checkpoint": {"uri": build_uri(character, int(URI["maxLength"]))},
        "image": image,
        "backoffLimit": 1000,
        "activeDeadlineSeconds": 90_000,
    }
    pinned = start(a_training_run().with_spec(**spec).build()).status
    run, long = a_live_run(**spec), character * 5000
    amount, cpus = "9" * 64, "9" * MAX_QUANTITY_LENGTH
    price = HourlyPrice(currency="USD", amount=amount)
    cost = Cost(currency="USD", amount=amount, lost=amount)
    priced = {"cpus_per_node": cpus, "price": price, "cost": cost, "cpu_seconds": 2**62, "lost_cpu_seconds": 2**62}
    attempt = {"image": image, "message": long[:1024], "node": "n" * 253, "reason": "x" * 64, **priced}
    attempts = [
        run.status.attempts[0].updated(**attempt, number=n, outcome="Failed", end_time=START, job="j" * 60)
        for n in range(1, 10)
    ]
    live = run.status.attempts[0].updated(number=10, image=image, **priced)
    model = {"uri": build_uri(character, int(URI["maxLength"]) + 6), "revision": "r" * 64}
    status = run.status.updated(attempts=[*attempts, live], datasets=pinned.datasets)
    run = run.updated(status=type(status).model_validate({**status.to_dict(), "model": model}))
    jobs = {"running": RUNNING_JOB, "failed": FAILED_JOB, "complete": COMPLETE_JOB}
    pods = build_pods(character)
    if end != "running":
        over: dict[str, Any] = {"exit_code": 1 if end == "failed" else 0, "phase": "Failed", "finished": START}
        pods = [replace(pod, **over) for pod in pods]
    for after in (60, 80, 90_001):
        decision = decide_run(
            ObservedRun(run, Children((jobs[end],), tuple(pods))), SETTINGS, START + timedelta(seconds=after)
        )
        assert measure_status(decision.status) <= MAX_STATUS_BYTES, decision.status.to_dict()
        assert [pin.uri for pin in decision.status.datasets] == [item["uri"] for item in spec["datasets"]]
        run = run.updated(status=decision.status)


@pytest.mark.parametrize("character", CHARACTERS)
def test_datasets_that_do_not_fit_into_a_status_are_refused_with_the_remedy(character: str) -> None:
    run = a_training_run().with_spec(datasets=build_datasets(character, int(URI["maxLength"]))).build()
    decision = start(run)
    assert (decision.status.state, decision.status.start_time) == ("WaitingForDataset", None)
    condition = decision.status.conditions[0]
    assert condition.reason == Reason.DATASETS_TOO_LONG
    assert "use shorter URIs, or fewer datasets" in condition.message
    assert decision.actions == ()


def test_32_datasets_with_uris_of_a_usual_length_start() -> None:
    run = a_training_run().with_spec(datasets=build_datasets("x", 500)).build()
    assert start(run).status.start_time == START
