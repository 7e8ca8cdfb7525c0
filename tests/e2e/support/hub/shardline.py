"""Shardline, a server with the API of the Hugging Face Hub: its program in the cache, and the recipe of its image."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from deepsynth_cluster.errors import ClusterError
from deepsynth_host.cache import cache_folder, locked, require_free_space
from deepsynth_host.errors import ToolError
from deepsynth_images.recipe import Recipe

VERSION = "1.13.0"
PROFILE = {
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
}
"""The datasets of tests are too small to make up for an optimized build, which takes a quarter of an hour."""
NEED_GIB = 6
"""For Cargo's work, which is deleted afterwards. The program takes 0.1 GiB."""


def find_shardline() -> Path:
    """The program, built from its crate the first time: five minutes on two free cores."""
    folder = cache_folder("shardline", VERSION)
    program = folder / "bin/shardline"
    with locked(folder / "lock"):
        if not program.exists():
            _build(program)
    return program


def build_recipe() -> Recipe:
    """The image with the program."""
    program = find_shardline()
    return Recipe("deepsynth-hub", Path(__file__).with_name("Dockerfile"), program.parent, (program,), need_gib=1)


def _build(program: Path) -> None:
    if shutil.which("cargo") is None:
        raise ClusterError("the tests' Hub is built with cargo, which was not found: install Rust")
    work = program.parents[1] / "work"
    require_free_space(program.parents[1], NEED_GIB, f"building shardline {VERSION}")
    print(f"building shardline {VERSION}: about 5 minutes", flush=True)
    began = time.monotonic()
    install = ["cargo", "install", "--quiet", "--locked", "shardline", "--version", VERSION, "--root", str(work)]
    command = ["nice", *install, "--target-dir", str(work / "target")]
    done = subprocess.run(command, env=os.environ | PROFILE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"cargo could not build shardline {VERSION}: {done.stderr.strip()[-2000:]}")
    program.parent.mkdir(exist_ok=True)
    (work / "bin/shardline").replace(program)
    shutil.rmtree(work)
    print(f"built shardline {VERSION}: {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    try:
        print(find_shardline())
    except ToolError as error:
        sys.exit(str(error))
