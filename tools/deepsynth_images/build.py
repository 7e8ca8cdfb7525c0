"""From a recipe to an image that a cluster can load; nothing is done for inputs that are as they were."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deepsynth_host.cache import cache_folder, locked, require_free_space
from deepsynth_images.base import choose_base
from deepsynth_images.engines import Engine, find_engine
from deepsynth_images.machine import write_secrets
from deepsynth_images.recipe import Recipe, read_version


@dataclass(frozen=True, slots=True)
class Image:
    """reference: its name in a cluster. path: a docker-archive, or the folder of an OCI layout."""

    reference: str
    path: Path


def build_image(
    recipe: Recipe,
    environment: Mapping[str, str] = os.environ,
    *,
    choose_engine: Callable[[Path], Engine] = find_engine,
    write: Callable[[Path], Mapping[str, Path]] = write_secrets,
) -> Image:
    """Build it on `BASE`, if that is set. Raises ToolError.

    choose_engine: given the cache. write: writes the secrets of the build into a folder and returns them by name.
    """
    cache, asked = cache_folder("images"), environment.get("BASE")
    with locked(cache / "lock"):
        built = _find_built(recipe, cache, asked)
        if built:
            return built
        engine = choose_engine(cache)
        base = choose_base(engine, asked, cache)
        return _build(recipe, engine, base, cache, write)


def _find_built(recipe: Recipe, cache: Path, asked: str | None) -> Image | None:
    try:
        stamp = json.loads(_stamp(recipe, cache).read_text())
        base, key, path = stamp["base"], stamp["key"], Path(stamp["path"])
    except (OSError, ValueError, KeyError):
        return None
    is_same = asked in (None, base) and key == recipe.compute_key(base) and path.exists()
    return Image(recipe.reference, path) if is_same else None


def _build(
    recipe: Recipe, engine: Engine, base: str, cache: Path, write: Callable[[Path], Mapping[str, Path]]
) -> Image:
    key = recipe.compute_key(base)
    log = cache / f"{recipe.name}.log"
    is_first = not engine.has(recipe.reference)
    require_free_space(cache, recipe.need_gib if is_first else 1, f"building {recipe.name}")
    print(f"building {recipe.reference} on {base} (log: {log})", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        engine.build(recipe.reference, _build_arguments(recipe, base, write(Path(folder))), log)
    path = engine.export(recipe.reference, cache)
    _stamp(recipe, cache).write_text(json.dumps({"base": base, "key": key, "path": str(path)}))
    print(f"built {recipe.reference} in {time.monotonic() - began:.0f} s", flush=True)
    return Image(recipe.reference, path)


def _build_arguments(recipe: Recipe, base: str, secrets: Mapping[str, Path]) -> list[str]:
    return [
        "--file",
        str(recipe.dockerfile),
        *(item for name, path in secrets.items() for item in ("--secret", f"id={name},src={path}")),
        "--build-arg",
        f"BASE={base}",
        "--build-arg",
        f"VERSION={read_version()}",
        str(recipe.context),
    ]


def _stamp(recipe: Recipe, cache: Path) -> Path:
    return cache / f"{recipe.name}.json"
