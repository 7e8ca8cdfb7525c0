from pathlib import Path

import pytest
import yaml

from deepsynth_api.errors import ConfigurationError
from deepsynth_images.recipe import read_version
from deepsynth_local.__main__ import main
from deepsynth_local.admission.admit import admit
from deepsynth_local.admission.manifest_file import parse_manifests, read_manifests
from deepsynth_local.templates import build_generation, build_run, format_resource

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("user", [None, "ada"])
def test_templates_are_resources_that_the_api_server_takes(user: str | None) -> None:
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


def test_an_unknown_or_repeated_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="xsun: is no preset; choose from cnn_dailymail, xsum"):
        build_generation("xsun", None, {})
    with pytest.raises(ConfigurationError, match="name each dataset once"):
        build_run(["xsum", "xsum"], "hf://a/b", 0, {})


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_an_example_is_taken_by_the_api_server(file: Path) -> None:
    manifests = read_manifests(str(file))

    assert manifests
    for manifest in manifests:
        admit(manifest)


def test_the_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets"]) == 0

    assert "xsum            hf://datasets/EdinburghNLP/xsum" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"{read_version()}\n"


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("template dataset nope", 64, "nope: is no preset"),
        ("template dataset xsum --max-rows 0", 64, "'0' is not a number of 1 or more"),
        ("get pods", 64, "invalid choice: 'pods'"),
        ("get trun x", 1, 'trainingruns.deepsynth.io "x" not found'),
        ("get", 0, "No resources found in"),
        ("delete trun x", 1, 'trainingruns "x" not found'),
        ("", 64, "required: COMMAND"),
    ],
)
def test_wrong_arguments_are_explained(
    command: str, code: int, message: str, capsys: pytest.CaptureFixture[str], in_empty_folder: Path
) -> None:
    assert main(command.split()) == code

    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_a_damaged_file_in_the_runs_folder_is_named(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = in_empty_folder / "deepsynth-runs/trainingruns/a.yaml"
    damaged.parent.mkdir(parents=True)
    damaged.write_text(yaml.safe_dump({"kind": "TrainingRun"}))

    assert main(["get"]) == 64

    assert f"{damaged}: is damaged; remove it" in capsys.readouterr().err
