from pathlib import Path

import pytest

from deepsynth_api.crd.files import CHART_CRDS, CRDS, find_drift, main, render_chart_crd, write_files

ROOT = Path(__file__).parents[3]


def test_the_files_in_the_project_are_up_to_date() -> None:
    assert find_drift(ROOT) == []


@pytest.mark.parametrize("folder", [CRDS, CHART_CRDS])
def test_check_names_a_file_that_is_out_of_date(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(tmp_path)
    assert main(["--check", str(tmp_path)]) == 0
    drifted = tmp_path / folder / "deepsynth.io_trainingruns.yaml"
    drifted.write_text(drifted.read_text().replace("numNodes", "nodes"))
    assert main(["--check", str(tmp_path)]) == 1
    assert str(folder / drifted.name) in capsys.readouterr().err


def test_check_names_a_manifest_of_an_unknown_kind(tmp_path: Path) -> None:
    write_files(tmp_path)
    (tmp_path / CRDS / "deepsynth.io_models.yaml").write_text("kind: CustomResourceDefinition\n")
    assert find_drift(tmp_path) == ["crds/deepsynth.io_models.yaml"]


def test_helm_keeps_braces_in_a_description() -> None:
    """`{{` would begin an action of the template."""
    crd = "metadata:\n  name: models\ndescription: '{{ it }}'\n"
    assert """description: '{{ "{{" }} it }}'""" in render_chart_crd(crd)
