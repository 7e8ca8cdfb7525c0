"""Documents and Jobs of the steps of a DatasetGeneration, and the specs that cannot become a Job."""

from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.report import StepName
from deepsynth_api.v1alpha1 import DatasetGeneration
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob, RenderAhead
from deepsynth_api.workload import RenderWorkload
from deepsynth_operator.manifests.render_job import build_render_children, build_render_document
from support.resources.builders import ResourceBuilder, a_dataset_generation


def a_job(step: StepName) -> ChildJob:
    job = {"step": step, "name": f"xsum-{step}-1", "startTime": "2026-01-02T03:04:05Z", "image": "cpu"}
    return ChildJob.model_validate(job)


def planned(shards: int = 7) -> dict[str, Any]:
    return {"revision": "r1", "digest": "d1", "splits": [], "shards": shards}


def build_job(builder: ResourceBuilder[DatasetGeneration], step: StepName) -> Any:
    return build_render_children(builder.build(), a_job(step))[-1]


def test_the_document_survives_the_config_map_unchanged() -> None:
    generation = a_dataset_generation().with_status(plan=planned()).build()
    config_map = build_render_children(generation, a_job("render"))[0]
    parsed = RenderWorkload.parse(config_map["data"]["workload.json"])
    assert parsed == build_render_document(generation, a_job("render"))
    assert parsed.plan is not None
    assert parsed.plan.digest == "d1"


def test_the_plan_step_does_not_get_the_old_plan() -> None:
    generation = a_dataset_generation().with_status(plan=planned()).build()
    assert build_render_document(generation, a_job("plan")).plan is None


@pytest.mark.parametrize(("step", "completions"), [("plan", 1), ("render", 7), ("publish", 1)])
def test_only_rendering_has_a_pod_per_shard(step: StepName, completions: int) -> None:
    spec = build_job(a_dataset_generation().with_status(plan=planned(7)), step)["spec"]
    assert (spec["completions"], spec["parallelism"]) == (completions, min(4, completions))


def test_a_render_job_may_have_only_some_of_the_shards() -> None:
    builder = a_dataset_generation().with_status(plan=planned(7) | {"staging": "draft"})
    entry = a_job("render").updated(first_shard=5, shards=2)
    assert build_render_children(builder.build(), entry)[-1]["spec"]["completions"] == 2
    plan = build_render_document(builder.build(), entry).plan
    assert plan is not None
    assert (plan.digest, plan.shards, plan.staging, plan.first_shard) == ("d1", 7, "draft", 5)


@pytest.mark.parametrize(("step", "parallelism", "value"), [("plan", 2, "1"), ("plan", 1, "0"), ("render", 2, None)])
def test_the_plan_step_stages_shards_early_where_a_second_pod_may_render_them(
    step: StepName, parallelism: int, value: str | None
) -> None:
    builder = a_dataset_generation().with_spec(parallelism=parallelism).with_status(plan=planned())
    container = build_job(builder, step)["spec"]["template"]["spec"]["containers"][0]
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert env.get("DEEPSYNTH_RENDER_AHEAD") == value


def test_the_pod_of_the_plan_is_one_of_those_that_may_run_while_shards_are_rendered() -> None:
    generation = a_dataset_generation().with_spec(parallelism=3).build()
    ahead = RenderAhead(revision="r1", staging="draft", staged_shards=5, job=a_job("render").updated(shards=5))
    assert ahead.job is not None
    spec = build_render_children(generation, ahead.job, ahead=ahead)[-1]["spec"]
    assert (spec["completions"], spec["parallelism"]) == (5, 2)


def test_a_limit_on_failed_shards_applies_only_to_rendering() -> None:
    builder = a_dataset_generation().with_spec(maxFailedIndexes=2).with_status(plan=planned())
    assert build_job(builder, "render")["spec"]["maxFailedIndexes"] == 2
    assert "maxFailedIndexes" not in build_job(builder, "publish")["spec"]


def test_too_many_shards_for_a_job_are_an_error_that_says_what_to_set() -> None:
    builder = a_dataset_generation().with_spec(rowsPerShard=10).with_status(plan=planned(200_000))
    with pytest.raises(
        ConfigurationError, match=r"^spec\.rowsPerShard: .* 100000 shards, got 200000; set it above 20$"
    ):
        build_job(builder, "render")


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("hf://datasets/acme/texts", "acme/texts"),
        ("hf://buckets/me/raw/letters.jsonl", "letters.jsonl"),
        ("docstrings://", "docstrings"),
        ("pvc://data/raw/letters.jsonl", "letters.jsonl"),
        ("file:///data/letters/", "letters"),
    ],
)
def test_rows_are_named_after_their_source(uri: str, name: str) -> None:
    generation = a_dataset_generation().with_spec(source={"uri": uri}).build()
    assert build_render_document(generation, a_job("plan")).source_name == name


def test_a_generation_with_neither_preset_nor_source_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="exactly one of preset and source"):
        build_job(a_dataset_generation().without("source"), "plan")


def test_the_source_is_mounted_read_only_and_the_output_is_not() -> None:
    builder = a_dataset_generation().with_spec(source={"uri": "pvc://raw/letters.jsonl"})
    container = build_job(builder, "plan")["spec"]["template"]["spec"]["containers"][0]
    mounts = {mount["name"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
    assert (mounts["claim-raw"], mounts["claim-data"]) == (True, False)
    assert container["command"][:4] == ["python", "-m", "deepsynth_render", "plan"]
