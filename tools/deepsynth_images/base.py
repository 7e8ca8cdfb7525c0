"""The base image: the one that is asked for, else Python's own, else one made from this machine's Debian packages."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deepsynth_images.engines import Engine
from deepsynth_images.errors import ImageError
from deepsynth_images.machine import find_package_sources, find_suite, require_commands

DEFAULT: Final = "python:3.12-slim"
PACKAGES: Final = ("ca-certificates", "python3", "python3-venv")
MAKE_ROOT: Final = Path(__file__).with_name("make-root.sh")
DOCKERFILE: Final = (
    "FROM scratch\nADD root.tar /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
)


def choose_base(
    engine: Engine,
    asked: str | None,
    cache: Path,
    *,
    find_sources: Callable[[], list[str]] = find_package_sources,
) -> str:
    """A reference that `engine` can build from. Raises ToolError where there is none."""
    if asked:
        return asked
    if engine.can_pull(DEFAULT):
        return DEFAULT
    print(f"{DEFAULT} cannot be pulled here: making a base of Debian packages", flush=True)
    return make_base(engine, cache, find_sources())


def make_base(engine: Engine, cache: Path, sources: list[str]) -> str:
    """A base with Python alone, by debootstrap from the package sources. Its archive stays in the cache."""
    suite = find_suite()
    if not sources or os.geteuid() != 0:
        raise ImageError(
            f"no base image: {DEFAULT} cannot be pulled, and only root on Debian or Ubuntu can make one; "
            "name one with BASE=..."
        )
    key = hashlib.sha256(f"{suite} {sources} {PACKAGES} {MAKE_ROOT.read_text()}".encode()).hexdigest()[:16]
    image = f"localhost/deepsynth-base:{suite}-{key}"
    if engine.has(image):
        return image
    folder = cache / f"base-{suite}-{key}"
    if not folder.exists():
        _make_archive(suite, sources, folder)
    engine.build(image, [str(folder)], folder.with_suffix(".log"))
    return image


def _make_archive(suite: str, sources: list[str], folder: Path) -> None:
    require_commands("debootstrap")
    staging = folder.with_suffix(".staging")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    listed, mirror = staging / "sources.list", sources[0].split()[1]
    listed.write_text("".join(f"{source}\n" for source in sources))
    command = ["bash", str(MAKE_ROOT), suite, mirror, str(listed), ",".join(PACKAGES), str(staging / "root.tar")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    listed.unlink()
    if done.returncode:
        raise ImageError(f"debootstrap could not make a base: {(done.stdout + done.stderr).strip()[-2000:]}")
    (staging / "Dockerfile").write_text(DOCKERFILE)
    staging.replace(folder)
