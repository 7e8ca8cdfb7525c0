"""What an image is made from."""

import hashlib
import os
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
"""The repository."""
_IGNORED: Final = {".pyc", ".so"}
"""Suffixes of files that .dockerignore keeps out of the build: what is compiled here."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """name: of the image, without its tag. inputs: what the Dockerfile copies. need_gib: disk while it is built."""

    name: str
    dockerfile: Path
    context: Path
    inputs: tuple[Path, ...]
    need_gib: float

    @property
    def reference(self) -> str:
        """Full name. An image that is built again takes it over."""
        return f"localhost/{self.name}:dev"

    def compute_key(self, base: str) -> str:
        """Equal for equal inputs on an equal base."""
        digest = hashlib.sha256(f"{base} {read_version()}\n".encode())
        for path in sorted(_walk([self.dockerfile, *self.inputs])):
            content = path.read_bytes()
            digest.update(
                f"{os.path.relpath(path, self.context)} {path.stat().st_mode & 0o111} {len(content)}\n".encode()
            )
            digest.update(content)
        return digest.hexdigest()[:16]


def read_version() -> str:
    """The project's, for the label."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def _walk(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (file for file in path.rglob("*") if file.is_file() and file.suffix not in _IGNORED)
        else:
            yield path


def _build_recipe(name: str, need_gib: float, packages: tuple[str, ...]) -> Recipe:
    return Recipe(
        name=f"deepsynth-{name}",
        dockerfile=ROOT / f"Dockerfile.{name}",
        context=ROOT,
        inputs=(
            ROOT / "LICENSE",
            ROOT / "tools/deepsynth_images/in-build",
            ROOT / "requirements/bootstrap.txt",
            ROOT / f"requirements/{name}.txt",
            *(ROOT / package for package in packages),
        ),
        need_gib=need_gib,
    )


CPU: Final = _build_recipe(
    "cpu",
    3,
    (
        "operator/deepsynth_api",
        "operator/deepsynth_client",
        "operator/deepsynth_operator",
        "operator/deepsynth_ui",
        "workloads/deepsynth_store",
        "workloads/deepsynth_text",
        "workloads/deepsynth_render",
    ),
)
GPU: Final = _build_recipe(
    "gpu",
    20,
    (
        "operator/deepsynth_api",
        "workloads/deepsynth_store",
        "workloads/deepsynth_text",
        "workloads/deepsynth_train",
    ),
)
