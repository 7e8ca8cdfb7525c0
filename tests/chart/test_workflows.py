"""The workflows on GitHub: valid, of the same verbs as the Makefile, with no more permissions than needed."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepsynth_cluster.programs.build import program

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def load(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def list_steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in load(file)["jobs"].values() for step in job["steps"]]


def test_actionlint_finds_nothing() -> None:
    done = subprocess.run(
        [program("actionlint"), "-no-color", "-shellcheck=", "-pyflakes=", *WORKFLOWS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_every_verb_of_a_workflow_is_a_target_of_the_makefile(file: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [
        found for step in list_steps(file) for found in re.findall(r"\bmake ([a-z0-9 -]+)", step.get("run", ""))
    ]
    named = {verb for command in commands for verb in command.split()}
    assert named
    assert named <= targets


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_may_only_read_and_every_job_ends_in_time(file: Path) -> None:
    workflow = load(file)
    assert workflow["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_named_by_major_version_or_commit(file: Path) -> None:
    uses = [step["uses"] for step in list_steps(file) if "uses" in step]
    assert [name for name in uses if not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", name)] == []


def test_tests_run_on_every_python_that_the_package_names() -> None:
    pythons = load(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.11", "3.12", "3.13", "3.14"]
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text()


def test_a_release_pushes_the_images_that_the_chart_names() -> None:
    images = load(ROOT / "charts/deepsynth/values.yaml")["images"]
    names = {images[kind]["repository"].rpartition("/")[2] for kind in ("operator", "renderer", "trainer")}
    jobs = load(ROOT / ".github/workflows/release.yml")["jobs"]
    assert {f"deepsynth-{image}" for image in jobs["index"]["strategy"]["matrix"]["image"]} == names
