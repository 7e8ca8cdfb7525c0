from pathlib import Path

import pytest

from deepsynth.verbs.templates import (
    DEFAULT_MODEL,
    build_generation,
    build_generations,
    build_run,
    describe_run,
    format_resource,
)
from deepsynth_api.errors import ConfigurationError
from deepsynth_api.presets import PRESETS
from deepsynth_client.manifest_file import parse_manifests, read_manifests
from deepsynth_local.admission.admit import admit

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("user", [None, "ada"])
def test_templates_are_valid_resources(user: str | None) -> None:
    environment = {"HF_USERNAME": user} if user else {}
    generation = build_generation("mlsum_fr", 1000, environment)
    run = build_run(["xsum", "mlsum_fr"], "hf://a/b", 8, environment)

    for resource in (generation, build_generation("billsum", None, environment), run):
        admit(parse_manifests(format_resource(resource), "template")[0])
    assert generation["spec"]["source"]["maxRowsPerSplit"] == 1000
    dataset = run["spec"]["datasets"][1]
    if user:
        assert generation["spec"]["output"]["uri"] == dataset["uri"] == "hf://datasets/ada/deepsynth-mlsum_fr-images"
    else:
        assert dataset["datasetGenerationRef"]["name"] == generation["metadata"]["name"] == "mlsum-fr"
    assert run["spec"]["resourcesPerNode"]["limits"]["nvidia.com/gpu"] == 8


def test_all_presets_are_generated_by_one_command() -> None:
    resources = build_generations(["all"], 10, {})
    assert [resource["metadata"]["name"] for resource in resources] == [name.replace("_", "-") for name in PRESETS]
    for resource in resources:
        admit(parse_manifests(format_resource(resource), "template")[0])
    assert len(build_generations(["xsum", "xlsum_th", "xsum"], None, {})) == 2


def test_an_unknown_or_repeated_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="unknown preset 'nope'; choose from cnn_dailymail, xsum"):
        build_generation("nope", None, {})
    with pytest.raises(ConfigurationError, match=r"unknown preset 'xsun'; did you mean xsum\?"):
        build_run(["xsun"], "hf://a/b", 0, {})
    with pytest.raises(ConfigurationError, match="every preset must be named only once"):
        build_run(["xsum", "xsum"], "hf://a/b", 0, {})


def test_a_training_template_says_that_its_model_needs_a_gpu_and_what_needs_none() -> None:
    text = describe_run(DEFAULT_MODEL, 0)
    assert "needs a GPU: add --gpus 1" in text
    assert "--model config://deepseek-ocr2-tiny" in text
    assert all(line.startswith("# ") for line in text.splitlines())
    assert "deepsynth fit" in describe_run(DEFAULT_MODEL, 8)
    assert not describe_run("config://deepseek-ocr2-tiny", 0)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_an_example_is_valid(file: Path) -> None:
    manifests = read_manifests(str(file))

    assert manifests
    for manifest in manifests:
        admit(manifest)
