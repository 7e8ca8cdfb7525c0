"""The `deepsynth` command: what it prints and returns. `deepsynth local` itself: tests/integration/local."""

from pathlib import Path

import pytest

from deepsynth.__main__ import main, report_error
from deepsynth_images.recipe import read_version


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets"]) == 0

    assert "xsum            hf://datasets/EdinburghNLP/xsum" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"{read_version()}\n"


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("template dataset nope", 64, "unknown preset 'nope'"),
        ("template dataset xsum --max-rows 0", 64, "must be a positive integer, got '0'"),
        ("get pods --local", 64, "unknown kind 'pods'; choose trun"),
        ("get trun x --local", 1, 'trainingruns.deepsynth.io "x" not found'),
        ("get --local", 0, "No resources found in"),
        ("delete trun x --local", 1, 'trainingruns.deepsynth.io "x" not found'),
        ("delete --data x y --local", 1, 'no resource is named "x"'),
        ("describe trun --local", 1, 'no resource is named "trun"'),
        ("suspend trun/ --local", 64, "'trun/' must be KIND/NAME"),
        ("wait x --for ready --local", 64, "--for: must be end, delete, state=STATE"),
        ("wait x --timeout soon", 64, "must be a duration such as 90s, 5m or 2h30m, got 'soon'"),
        ("logs x --rank -1", 64, "must be an integer of at least 0"),
        ("get --local --context prod", 64, "--context: cannot be used with --local"),
        ("get -l a=(b --local", 64, "is not a requirement"),
        ("get --field-selector spec.x=1 --local", 64, "must be FIELD=VALUE or FIELD!=VALUE with metadata.name"),
        ("get -w --local", 64, "--watch: must have one kind"),
        ("apply -f missing.yaml --local", 64, "missing.yaml: cannot be read"),
        ("completion tcsh", 64, "unknown word 'tcsh'; choose from bash, zsh, fish"),
        ("localx -f x.yaml", 64, "argument COMMAND: unknown word 'localx'; did you mean local?"),
        ("template trainingx xsum", 64, "unknown word 'trainingx'; did you mean training?"),
        ("template training xsmu", 64, "unknown preset 'xsmu'; did you mean xsum?"),
        ("get trainingrun,dasetgeneration --local", 64, "'dasetgeneration'; did you mean datasetgeneration?"),
        ("", 64, "required: COMMAND"),
    ],
)
def test_invalid_arguments_are_explained(
    command: str, code: int, message: str, capsys: pytest.CaptureFixture[str], in_empty_folder: Path
) -> None:
    assert main(command.split()) == code

    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_a_bug_is_printed_with_a_traceback_only_with_debug(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError) as bug:
        raise ZeroDivisionError("surprise")

    assert report_error(bug.value, debug=False) == 70
    error = capsys.readouterr().err
    assert "error: ZeroDivisionError: surprise; this is a bug" in error
    assert "Traceback" not in error
    assert report_error(bug.value, debug=True) == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_package_that_is_not_installed_is_named_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    """The wheel alone brings what `template` needs; the rest comes with its extras."""
    assert report_error(ModuleNotFoundError("No module named 'torch.x'", name="torch.x"), debug=False) == 64
    error = capsys.readouterr().err
    assert "error: the package torch is not installed; run pip install 'deepsynth-operator[client]'" in error
    assert report_error(ModuleNotFoundError(name="deepsynth_local.x"), debug=False) == 70


@pytest.mark.usefixtures("in_empty_folder")
def test_with_debug_an_error_is_printed_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "trun", "x", "--debug", "--local"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_folder_one_level_above_a_model_is_refused_with_the_model_below(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run/model").mkdir(parents=True)
    (tmp_path / "run/model/config.json").write_text("{}")
    (tmp_path / "page.png").touch()
    assert main([command, str(tmp_path / "run"), str(tmp_path / "page.png")]) == 64
    expected = f"{tmp_path}/run: no config.json in this folder; did you mean {tmp_path}/run/model?"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shell", "part"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --command")]
)
def test_each_shell_gets_a_script_that_completes_both_programs(
    shell: str, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert part in script
    assert "kubectl-deepsynth" in script
