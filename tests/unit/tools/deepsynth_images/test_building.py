"""When an image is built again, and what is handed to the engine."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from deepsynth_host.errors import ToolError
from deepsynth_images.base import choose_base
from deepsynth_images.build import Image, build_image
from deepsynth_images.errors import ImageError
from deepsynth_images.recipe import Recipe


class RecordingEngine:
    """Knows the images that it has built; pulls only what is pullable."""

    def __init__(self, pullable: Sequence[str] = ("python:3.12-slim",)) -> None:
        self.builds: list[Sequence[str]] = []
        self.images: set[str] = set()
        self._pullable = pullable

    def can_pull(self, image: str) -> bool:
        return image in self._pullable

    def has(self, image: str) -> bool:
        return image in self.images

    def build(self, image: str, arguments: Sequence[str], log: Path) -> None:
        self.images.add(image)
        self.builds.append(arguments)

    def export(self, image: str, folder: Path) -> Path:
        archive = folder / "image.tar"
        archive.write_text(image)
        return archive


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RecordingEngine:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))
    return RecordingEngine()


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    code = tmp_path / "context/code"
    code.mkdir(parents=True)
    (code / "main.py").write_text("print(1)\n")
    dockerfile = tmp_path / "context/Dockerfile"
    dockerfile.write_text("FROM scratch\n")
    return Recipe("deepsynth-test", dockerfile, tmp_path / "context", (code,), 0)


def build_with(engine: RecordingEngine, recipe: Recipe, environment: Mapping[str, str] | None = None) -> Image:
    """On an engine that records, with one secret."""
    return build_image(
        recipe,
        environment or {},
        choose_engine=lambda _cache: engine,
        write=lambda folder: {"pip.conf": folder / "pip.conf"},
    )


def test_an_unchanged_tree_builds_nothing(engine: RecordingEngine, recipe: Recipe) -> None:
    first = build_with(engine, recipe)
    assert build_with(engine, recipe) == first
    assert first.reference == "localhost/deepsynth-test:dev"
    assert len(engine.builds) == 1


def test_compiled_bytecode_is_no_change(engine: RecordingEngine, recipe: Recipe) -> None:
    build_with(engine, recipe)
    cache = recipe.inputs[0] / "__pycache__"
    cache.mkdir()
    (cache / "main.cpython-311.pyc").write_bytes(b"\0")
    build_with(engine, recipe)
    assert len(engine.builds) == 1


@pytest.mark.parametrize("change", ["content", "name", "dockerfile", "mode"])
def test_any_change_of_the_inputs_builds_again(engine: RecordingEngine, recipe: Recipe, change: str) -> None:
    build_with(engine, recipe)
    main = recipe.inputs[0] / "main.py"
    match change:
        case "content":
            main.write_text("print(2)\n")
        case "name":
            main.rename(main.with_name("other.py"))
        case "dockerfile":
            recipe.dockerfile.write_text("FROM scratch\nUSER 1\n")
        case "mode":
            main.chmod(0o755)
    build_with(engine, recipe)
    assert len(engine.builds) == 2


def test_another_base_builds_again_and_no_wish_keeps_the_base_that_there_is(
    engine: RecordingEngine, recipe: Recipe
) -> None:
    build_with(engine, recipe, {"BASE": "mirror.example/python:3.13"})
    build_with(engine, recipe)
    assert len(engine.builds) == 1
    assert "BASE=mirror.example/python:3.13" in engine.builds[0]
    build_with(engine, recipe, {"BASE": "python:3.12-slim"})
    assert len(engine.builds) == 2


def test_a_lost_archive_is_made_again(engine: RecordingEngine, recipe: Recipe) -> None:
    build_with(engine, recipe).path.unlink()
    assert build_with(engine, recipe).path.exists()
    assert len(engine.builds) == 2


def test_too_little_disk_is_said_with_both_figures_before_anything_is_built(
    engine: RecordingEngine, recipe: Recipe
) -> None:
    large = Recipe(recipe.name, recipe.dockerfile, recipe.context, recipe.inputs, need_gib=1_000_000)
    with pytest.raises(ToolError, match=r"needs 1000000\.0 GiB in .*, [0-9.]+ GiB are free"):
        build_with(engine, large)
    assert engine.builds == []


def test_pips_configuration_is_mounted_as_a_secret(engine: RecordingEngine, recipe: Recipe) -> None:
    build_with(engine, recipe)
    arguments = list(engine.builds[0])
    assert arguments[arguments.index("--secret") + 1].startswith("id=pip.conf,src=")


def test_a_machine_that_can_neither_pull_nor_make_a_base_gets_an_error_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="BASE="):
        choose_base(RecordingEngine(pullable=()), None, tmp_path, find_sources=list)
