"""What resources will cost, from the status of others: what grows, what does not, and what is not known."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import DatasetGeneration
from deepsynth_client.interface import Manifest
from deepsynth_local.cost_estimate import calibration
from deepsynth_local.cost_estimate.calibration import build_sample
from deepsynth_local.cost_estimate.estimating import UNKNOWN, Options, estimate_files
from deepsynth_local.local_resources import LocalResources
from deepsynth_local.runs.resource_store import ResourceStore
from deepsynth_local.runs.runs_folder import RunsFolder
from support.resources.builders import ResourceBuilder, a_dataset_generation, a_training_run

NOON = "2026-01-02T12:{:02d}:{:02d}Z"
CPU = {"resources": {"requests": {"cpu": 2}}}
PRICE = {"currency": "USD", "amount": "3.6"}
"""A thousandth of a dollar a second."""
DOCSTRINGS = {"uri": "docstrings://"}


@pytest.fixture
def runs(tmp_path: Path) -> RunsFolder:
    return RunsFolder.open(tmp_path / "runs")


def at(seconds: int) -> str:
    return NOON.format(seconds // 60, seconds % 60)


def estimate(runs: RunsFolder, *new: ResourceBuilder[Any], **options: Any) -> dict[str, list[str]]:
    """Cells by the name of the row; notes by the name of the resource with a colon."""
    file = runs.path / "new.yaml"
    written = [{key: item for key, item in builder.to_manifest().items() if key != "status"} for builder in new]
    file.write_text(yaml.safe_dump_all(written))
    text = estimate_files([str(file)], LocalResources(runs), runs, Options(**options))
    return {line.split()[0]: line.split() for line in text.splitlines() if line}


def save(runs: RunsFolder, *resources: Manifest) -> None:
    for resource in resources:
        ResourceStore(runs).save(resource)


def a_job(step: str, seconds: int, lost: int = 0) -> Mapping[str, Any]:
    counted = {"podSeconds": seconds, "lostPodSeconds": lost, "price": PRICE}
    return {"step": step, "name": f"old-{step}-1", "startTime": at(0), **counted}


def a_measured_generation(name: str = "old", rows: int = 100, **spec: Any) -> ResourceBuilder[DatasetGeneration]:
    """100 seconds of rendering, next to 20 lost ones, and 10 seconds each of plan and publish."""
    plan = {"revision": "r", "digest": "d", "shards": 1, "splits": [{"name": "train", "rows": rows}]}
    jobs = [a_job("plan", 10), a_job("render", 120, lost=20), a_job("publish", 10)]
    output = {
        "uri": "pvc://data/old",
        "revision": "r",
        "rows": rows,
        "pages": 3 * rows,
        "bytes": 1,
        "manifestSha256": "",
    }
    return (
        a_dataset_generation(name)
        .with_spec(template=CPU, **spec)
        .with_status(state="Complete", plan=plan, jobs=jobs, output=output)
    )


PARTS = {"stepSeconds": 40, "evaluationSeconds": 40}


def a_measured_run(name: str = "old", parts: Mapping[str, int] = PARTS, **spec: Any) -> Manifest:
    """40 steps of 32 samples in 120 seconds: 1 for a step, 20 for each of two evaluations, 40 for the rest."""
    attempt = {"number": 1, "startTime": at(0), "heldTime": at(0), "endTime": at(120), "job": "old-train-1", **parts}
    return (
        a_training_run(name)
        .with_spec(resourcesPerNode={"requests": {"cpu": 4}}, **spec)
        .with_status(
            state="Complete",
            attempts=[{**attempt, "nodes": 1, "lastStep": 40, "outcome": "Succeeded", "price": PRICE}],
            progress={"step": 40, "totalSteps": 40, "samplesPerSecond": "32"},
        )
        .to_manifest()
    )


def test_rendering_grows_with_the_documents_and_the_rest_may_stay(runs: RunsFolder) -> None:
    save(runs, a_measured_generation(source={**DOCSTRINGS, "maxRowsPerSplit": 100}).to_manifest())

    rows = estimate(
        runs, a_dataset_generation("new").with_spec(source={**DOCSTRINGS, "maxRowsPerSplit": 300}, template=CPU)
    )

    name, cost, low, high, currency, cpu_seconds, _, _ = rows["datasetgeneration/new"]
    assert (cost, low, high, currency) == ("0.34", "0.272", "0.408", "USD"), "300 s, 20 to 60 s, and a fifth around"
    assert cpu_seconds == "680"
    assert rows[f"{name}:"][1:3] == ["300", "documents"]


def test_two_sizes_show_what_is_start_up(runs: RunsFolder) -> None:
    few = a_measured_generation("few", source={**DOCSTRINGS, "maxRowsPerSplit": 100})
    jobs = [a_job("plan", 20), a_job("render", 420, lost=20), a_job("publish", 10)]
    plan = {"revision": "r", "digest": "d", "shards": 1, "splits": [{"name": "train", "rows": 400}]}
    many = a_measured_generation("many", source={**DOCSTRINGS, "maxRowsPerSplit": 400}).with_status(
        jobs=jobs, plan=plan
    )
    save(runs, few.to_manifest(), many.to_manifest())

    rows = estimate(
        runs, a_dataset_generation("new").with_spec(source={**DOCSTRINGS, "maxRowsPerSplit": 1000}, template=CPU)
    )

    plan_seconds, render, publish = 40, 1000, 10
    assert rows["datasetgeneration/new"][1] == f"{(plan_seconds + render + publish) / 1000:.2f}"


def test_the_same_again_costs_the_same(runs: RunsFolder) -> None:
    save(runs, a_measured_generation().to_manifest(), a_measured_run(maxSteps=40))

    rows = estimate(
        runs,
        a_dataset_generation("new").with_spec(template=CPU),
        a_training_run("new").with_spec(maxSteps=40, resourcesPerNode={"requests": {"cpu": 4}}),
    )

    assert rows["datasetgeneration/new"][1:6] == ["0.12", "0.096", "0.144", "USD", "240"]
    assert rows["trainingrun/new"][1:6] == ["0.12", "0.096", "0.144", "USD", "480"]
    assert rows["total"][1:5] == ["0.24", "0.192", "0.288", "USD"]


def test_steps_evaluations_and_the_rest_of_a_run_grow_apart(runs: RunsFolder) -> None:
    save(runs, a_measured_run(maxSteps=40))

    often = {"maxSteps": 120, "evaluation": {"everySteps": 40}, "checkpoint": {"uri": "pvc://c/new", "everySteps": 60}}
    rows = estimate(runs, a_training_run("new").with_spec(**often, resourcesPerNode={"requests": {"cpu": 4}}))

    steps, evaluations, rest = 120, 4 * 20, 40
    assert float(rows["trainingrun/new"][1]) == (steps + evaluations + rest) / 1000
    assert float(rows["trainingrun/new"][3]) == pytest.approx((steps + evaluations + 2 * rest) / 1000, abs=0.01)
    assert " ".join(rows["trainingrun/new:"]).endswith("measured: trainingrun/old attempt 1"), "with other evaluations"


def test_of_a_run_without_parts_all_grows_or_only_steps_as_fast_as_the_last_ones(runs: RunsFolder) -> None:
    save(runs, a_measured_run(parts={}, maxSteps=40))

    rows = estimate(runs, a_training_run("new").with_spec(maxSteps=120, resourcesPerNode={"requests": {"cpu": 4}}))

    low, mean = 80 + 120, 360
    assert rows["trainingrun/new"][1:4] == ["0.28", f"{low / 1000:.2f}", f"{mean / 1000:.2f}"]


def test_two_nodes_take_half_the_time_for_the_steps_and_each_its_own_start(runs: RunsFolder) -> None:
    save(runs, a_measured_run(maxSteps=40))

    wide = {"maxSteps": 40, "numNodes": 2, "resourcesPerNode": {"requests": {"cpu": 4}}}
    rows = estimate(runs, a_training_run("new").with_spec(**wide))

    assert rows["trainingrun/new"][1] == "0.16", "2 pods of 40 s, 20 steps of 1 s and 2 evaluations of 10 s"


def test_runs_that_differ_least_count_and_what_differs_is_named(runs: RunsFolder) -> None:
    save(runs, a_measured_run("like", precision="fp32"), a_measured_run("unlike", precision="fp16", sharding="full"))

    rows = estimate(runs, a_training_run("new").with_spec(maxSteps=40, resourcesPerNode={"requests": {"cpu": 4}}))

    assert " ".join(rows["trainingrun/new:"]).endswith("measured: trainingrun/like attempt 1, with other precision")


def test_what_was_not_measured_is_said(runs: RunsFolder) -> None:
    rows = estimate(
        runs,
        a_dataset_generation("new").with_spec(template=CPU),
        a_dataset_generation("preset").without("source").with_spec(preset="xsum", template=CPU),
        a_training_run("new").with_spec(maxSteps=40),
    )

    assert rows["datasetgeneration/new"][1:] == ["-"] * 7
    assert "number of documents unknown; give --documents N" in " ".join(rows["datasetgeneration/new:"])
    assert "226,711 documents (rows of the preset, before filters)" in " ".join(rows["datasetgeneration/preset:"])
    assert "a wide default range" in " ".join(rows["datasetgeneration/preset:"])
    assert rows["trainingrun/new"][1:] == ["-"] * 7
    assert "train it with maxSteps: 50 first" in " ".join(rows["trainingrun/new:"])
    assert rows["no"] == ["no", "prices:", "give", "--prices", "FILE", "(docs/tasks/costs.md)"]
    assert rows["not"] == UNKNOWN.split()


def test_epochs_count_the_pages_of_a_generation_in_the_same_file(runs: RunsFolder) -> None:
    save(runs, a_measured_generation().to_manifest(), a_measured_run(task="ocr"))
    datasets = [{"name": "pages", "datasetGenerationRef": {"name": "new"}}]

    rows = estimate(
        runs,
        a_dataset_generation("new").with_spec(template=CPU),
        a_training_run("read").with_spec(task="ocr", epochs=2, datasets=datasets),
        documents=640,
    )

    assert " ".join(rows["trainingrun/read:"][1:6]) == "120 steps of 32 samples;"


def test_a_price_table_wins_over_the_prices_of_the_measured_pods(runs: RunsFolder, tmp_path: Path) -> None:
    save(runs, a_measured_generation().to_manifest())
    prices = tmp_path / "prices.yaml"
    prices.write_text("{currency: EUR, entries: [{perHour: {cpu: 3.6}}]}")

    rows = estimate(runs, a_dataset_generation("new").with_spec(template=CPU), prices=prices)

    assert rows["datasetgeneration/new"][1:5] == ["0.24", "0.192", "0.288", "EUR"]


def test_pods_that_request_something_else_have_no_known_price(runs: RunsFolder) -> None:
    save(runs, a_measured_generation().to_manifest())

    rows = estimate(runs, a_dataset_generation("new").with_spec(template={"resources": {"requests": {"cpu": 4}}}))

    assert rows["datasetgeneration/new"][1:6] == ["-", "-", "-", "-", "480"]


def test_pods_without_requests_are_measured_in_time_only(runs: RunsFolder) -> None:
    save(runs, a_measured_generation().to_manifest())

    rows = estimate(runs, a_dataset_generation("new"))

    assert rows["datasetgeneration/new"][1:] == ["-", "-", "-", "-", "0", "0", "2m"]


def test_other_page_settings_do_not_count(runs: RunsFolder) -> None:
    save(runs, a_measured_generation(page={"size": "512"}).to_manifest())

    rows = estimate(runs, a_dataset_generation("new").with_spec(template=CPU), documents=100)

    assert "not measured" in " ".join(rows["datasetgeneration/new:"])


def test_a_sample_renders_the_first_rows_with_the_same_settings(runs: RunsFolder) -> None:
    fonts = [{"name": "Mine", "uri": "pvc://fonts/mine.ttf"}]
    generation = a_measured_generation(source={"uri": "pvc://texts/a"}, page={"size": "512"}, fonts=fonts).build()

    spec = build_sample(generation, runs, calibration.SAMPLE_ROWS)["spec"]

    assert spec["source"]["uri"] == f"file://{runs.volumes}/texts/a"
    assert spec["source"]["maxRowsPerSplit"] == calibration.SAMPLE_ROWS
    assert spec["fonts"][0]["uri"] == f"file://{runs.volumes}/fonts/mine.ttf"
    assert spec["page"]["size"] == "512"
    assert "template" not in spec


def test_a_sample_that_cannot_be_rendered_says_why(runs: RunsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "pvc://texts/none has no files")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: failed)
    missing = a_dataset_generation("new").with_spec(source={"uri": "pvc://texts/none"})

    with pytest.raises(ConfigurationError, match="new cannot be rendered here: pvc://texts/none has no files"):
        estimate(runs, missing, calibrate=True)


def test_a_resource_without_a_price_says_why(runs: RunsFolder, tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text("{currency: EUR, entries: [{perHour: {nvidia.com/gpu: 4}}]}")
    file = tmp_path / "new.yaml"
    for builder, reason in (
        (a_dataset_generation("new"), "its pods request nothing that has a price; set spec.template.resources"),
        (a_dataset_generation("new").with_spec(template=CPU), "that fits its pods has a price for cpu"),
    ):
        written = {key: item for key, item in builder.to_manifest().items() if key != "status"}
        file.write_text(yaml.safe_dump(written))
        text = estimate_files([str(file)], LocalResources(runs), runs, Options(prices=prices))
        assert reason in text


@pytest.mark.parametrize(
    ("rows", "seconds", "expected"),
    [(200, 1, [200, 3000]), (200, 5, [200, 600]), (200, 60, [200, 400]), (150, 1, [200])],
    ids=["fast", "medium", "slow", "small source"],
)
def test_a_second_sample_renders_long_enough_to_be_measured(
    runs: RunsFolder, monkeypatch: pytest.MonkeyPatch, rows: int, seconds: int, expected: list[int]
) -> None:
    rendered: list[int] = []

    def render(generation: DatasetGeneration, _: RunsFolder, limit: int) -> DatasetGeneration:
        rendered.append(limit)
        plan = {"revision": "r", "digest": "d", "shards": 1, "splits": [{"name": "train", "rows": rows}]}
        source = {**DOCSTRINGS, "maxRowsPerSplit": limit}
        sample = a_dataset_generation(generation.metadata.name).with_spec(source=source)
        return sample.with_status(plan=plan, jobs=[a_job("render", seconds)]).build()

    monkeypatch.setattr(calibration, "_render", render)

    calibration.calibrate(a_dataset_generation("new").build(), runs)

    assert rendered == expected
