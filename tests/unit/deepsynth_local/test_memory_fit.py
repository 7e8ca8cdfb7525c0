from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_local.memory_fit import GIB, GPUS, fit_files, list_fitting
from deepsynth_local.runs.runs_folder import RunsFolder

if TYPE_CHECKING:
    from pathlib import Path


RUN = """
apiVersion: deepsynth.io/v1alpha1
kind: TrainingRun
metadata: {name: tiny}
spec:
  model: {uri: config://deepseek-ocr2-tiny}
  datasets: [{name: pages, uri: hf://datasets/owner/pages}]
  imageProcessor: {size: 64}
  checkpoint: {uri: pvc://claim/folder}
"""


def fit(
    folder: Path, text: str, *, compare: bool = False, output: str = "table", shown: list[str] | None = None
) -> str:
    file = folder / "run.yaml"
    file.write_text(text)
    lines: list[str] = [] if shown is None else shown
    return fit_files(
        [str(file)], RunsFolder(folder), pages=1, label_tokens=64, compare=compare, output=output, show=lines.append
    )


def test_a_gpu_fits_if_it_has_at_least_that_much_memory() -> None:
    assert list_fitting(15 * GIB, "fp16")[0] == "L4 24 GB"
    assert list_fitting(0, "fp32") == list(GPUS)
    assert list_fitting(1000 * GIB, "bf16") == []


def test_a_gpu_without_bf16_fits_only_in_other_precisions(tmp_path: Path) -> None:
    assert list_fitting(0, "bf16") == [name for name in GPUS if name != "T4 16 GB"]
    compared = fit(tmp_path, RUN, compare=True)
    assert "T4" not in compared
    *parts, total = map(float, re.findall(r"\d+\.\d\d", compared.splitlines()[2]))
    assert sum(parts) == pytest.approx(total, abs=0.03), "the columns of a row add up"
    assert compared.startswith(
        'TrainingRun "tiny": GiB on each GPU (1 in all), for micro-batches of 1 sample with 1 page and 64 label '
        "tokens, in bf16\n"
    )
    assert "no bf16" not in fit(tmp_path, f"{RUN}  precision: fp16\n")


def test_the_parts_and_the_gpus_of_a_run_are_listed(tmp_path: Path) -> None:
    text = fit(tmp_path, RUN)
    assert text.startswith(
        'TrainingRun "tiny": memory of each GPU (1 in all), for micro-batches of 1 sample with 1 page'
    )
    assert "trained weights" in text
    assert "fits on            L4 24 GB; RTX 4090 24 GB" in text
    assert "no bf16            T4 16 GB" in text
    assert "does not fit on" not in text


def test_the_choice_of_auto_is_listed_by_gpu(tmp_path: Path) -> None:
    text = fit(tmp_path, RUN + "  microBatchSize: auto\n  globalBatchSize: 12\n")
    assert "for micro-batches of 1 sample" in text
    assert "auto chooses       8 on L4 24 GB; 8 on RTX 4090 24 GB" in text


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By setting."""
    shown: list[str] = []
    lines = json.loads(fit(tmp_path_factory.mktemp("compared"), RUN, compare=True, output="json", shown=shown))
    assert shown[1] == f'TrainingRun "tiny": estimating {lines[1]["setting"]} (2 of {len(lines)})'
    return {line["setting"]: line for line in lines}


def test_settings_can_be_compared_as_json(compared: dict[str, Any]) -> None:
    assert list(compared) == [
        "as written",
        "gradientCheckpointing: true",
        "model.freeze: [vision]",
        "optimizer.type: adamw8bit",
        "model.lora: {}",
        "model.lora: {}, quantize: nf4",
    ]
    assert (
        compared["model.lora: {}"]["trained"]
        < compared["model.freeze: [vision]"]["trained"]
        < compared["as written"]["trained"]
    )
    whole = compared["as written"]
    parts = [value for name, value in whole.items() if name.endswith("_bytes") and name != "total_bytes"]
    assert whole["total_bytes"] == sum(parts)


def test_8_bit_moments_take_less_and_nothing_else_changes(compared: dict[str, Any]) -> None:
    whole, small = compared["as written"], compared["optimizer.type: adamw8bit"]
    assert small["optimizer_bytes"] < whole["optimizer_bytes"] / 2
    assert small["total_bytes"] == whole["total_bytes"] - whole["optimizer_bytes"] + small["optimizer_bytes"]


@pytest.mark.slow
def test_a_setting_that_a_run_cannot_have_is_marked_and_the_others_are_compared(tmp_path: Path) -> None:
    sharded = f"{RUN}  sharding: full\n"
    lines = fit(tmp_path, sharded, compare=True).splitlines()
    refused = [line for line in lines if "impossible" in line]
    assert len(refused) == 2
    assert all("spec.sharding: none" in line for line in refused)
    assert len(lines) == 8
    rows = [line for line in json.loads(fit(tmp_path, sharded, compare=True, output="json")) if "refusal" in line]
    assert [row["setting"] for row in rows] == ["optimizer.type: adamw8bit", "model.lora: {}, quantize: nf4"]


def test_a_file_without_a_training_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="must contain a TrainingRun, found none"):
        fit(tmp_path, "")


def test_a_model_of_another_run_is_refused_with_what_to_name_instead(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"spec\.model\.trainingRunRef: .*set spec\.model\.uri"):
        fit(tmp_path, RUN.replace("{uri: config://deepseek-ocr2-tiny}", "{trainingRunRef: {name: other}}"))


def test_an_elastic_run_must_fit_on_its_fewest_nodes(tmp_path: Path) -> None:
    assert "(4 in all)" in fit(tmp_path, f"{RUN}  numNodes: 4\n")
    assert "(2 in all)" in fit(tmp_path, f"{RUN}  numNodes: 4\n  elastic: {{minNodes: 2}}\n")
