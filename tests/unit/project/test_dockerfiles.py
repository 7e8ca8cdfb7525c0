"""The Dockerfiles match the rest of the project."""

import re
from pathlib import Path

import pytest

from deepsynth_images.recipe import CPU, GPU, ROOT, Recipe, read_version
from deepsynth_operator.manifests.pod import DEFAULT_USER

RECIPES = pytest.mark.parametrize("recipe", [CPU, GPU], ids=lambda recipe: recipe.name)
OWN_PACKAGES = {
    CPU.name: {
        "deepsynth_api",
        "deepsynth_client",
        "deepsynth_operator",
        "deepsynth_store",
        "deepsynth_text",
        "deepsynth_render",
        "deepsynth_ui",
    },
    GPU.name: {"deepsynth_api", "deepsynth_store", "deepsynth_text", "deepsynth_train"},
}


def read_stages(recipe: Recipe) -> list[str]:
    return re.split(r"^(?=FROM )", recipe.dockerfile.read_text(), flags=re.MULTILINE)[1:]


def list_copied(recipe: Recipe) -> list[str]:
    copies = re.findall(r"^COPY (?!--from)(.+)$", recipe.dockerfile.read_text(), flags=re.MULTILINE)
    return [source for copy in copies for source in copy.split()[:-1]]


@RECIPES
def test_an_image_runs_as_the_user_of_the_pods(recipe: Recipe) -> None:
    last = read_stages(recipe)[-1]
    assert re.findall(r"^USER (.+)$", last, flags=re.MULTILINE) == [f"{DEFAULT_USER}:{DEFAULT_USER}"]
    assert last.index("USER ") > last.rindex("COPY ")


@RECIPES
def test_the_user_has_an_entry_in_etc_passwd(recipe: Recipe) -> None:
    script = ROOT / "tools/deepsynth_images/in-build/install-requirements.sh"
    assert str(script.name) in recipe.dockerfile.read_text()
    assert f"deepsynth:x:{DEFAULT_USER}:{DEFAULT_USER}:" in script.read_text()


@RECIPES
def test_the_base_is_a_build_argument(recipe: Recipe) -> None:
    text = recipe.dockerfile.read_text()
    assert text.index("ARG BASE=") < text.index("FROM ")
    assert {stage.split()[1] for stage in read_stages(recipe)} == {"${BASE}", "dependencies"}


@RECIPES
def test_the_default_version_of_an_image_is_the_project_s(recipe: Recipe) -> None:
    assert f"ARG VERSION={read_version()}\n" in recipe.dockerfile.read_text()


@RECIPES
def test_every_copied_file_is_part_of_the_cache_key(recipe: Recipe) -> None:
    inputs = {path.relative_to(ROOT) for path in recipe.inputs}
    for source in list_copied(recipe):
        path = Path(source)
        assert (ROOT / path).exists(), source
        assert inputs & {path, *path.parents}, f"{source} is missing in the inputs of {recipe.name}"


@RECIPES
def test_an_image_contains_only_the_packages_that_it_needs(recipe: Recipe) -> None:
    copied = {Path(source).name for source in list_copied(recipe) if source.startswith(("operator/", "workloads/"))}
    assert copied == OWN_PACKAGES[recipe.name]


@RECIPES
def test_copied_files_are_not_ignored(recipe: Recipe) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {Path(line[1:]) for line in ignored if line.startswith("!")}
    assert ignored[0] == "*"
    for source in list_copied(recipe):
        assert kept & {Path(source), *Path(source).parents}, f".dockerignore ignores {source}"


def test_the_trainer_requests_the_driver_from_the_container_runtime() -> None:
    text = GPU.dockerfile.read_text()
    assert "NVIDIA_VISIBLE_DEVICES=all" in text
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in text
