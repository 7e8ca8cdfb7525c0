"""Compile the C files of this folder into one extension module next to them: `python build.py [compiler option ...]`.

It needs a C compiler and Python's headers, but no package: the wheel (hatch_build.py), the images and `make setup` run
it as a script. Further options go to the compiler, for example -fsanitize=address.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
EXTENSION = FOLDER / "_core.abi3.so"
"""One file for all Pythons from 3.11 on: the C code keeps to their stable ABI."""
_OPTIONS = ["-std=c11", "-O3", "-fPIC", "-fno-strict-aliasing", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]
_REMEDY = "install a C compiler and Python's headers (Debian: apt-get install gcc libc6-dev libpython3-dev)"


class CompilerError(Exception):
    """The extension cannot be compiled here; the message says why."""


def compute_digest() -> str:
    """sha256 of the sources, which the extension reports as SOURCES."""
    digest = hashlib.sha256()
    for path in _list_sources("*.[ch]"):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def build(options: list[str], extension: Path = EXTENSION) -> None:
    """Compile. A process that has the old file open keeps it. Raises CompilerError."""
    with tempfile.TemporaryDirectory(dir=extension.parent) as folder:
        built = Path(folder, extension.name)
        command = [
            *_find_linker(),
            *_OPTIONS,
            f'-DSOURCES="{compute_digest()}"',
            f"-I{sysconfig.get_path('include')}",
            *options,
            *map(str, _list_sources("*.c")),
            "-o",
            str(built),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise CompilerError(f"{command[0]}: {error.strerror}; {_REMEDY}") from error
        if done.returncode:
            raise CompilerError(f"{command[0]} failed; {_REMEDY}\n{done.stderr.strip()[-4000:]}")
        built.replace(extension)


def _list_sources(pattern: str) -> list[Path]:
    return sorted(FOLDER.glob(pattern))


def _find_linker() -> list[str]:
    """The command that makes a shared object: CC, else what Python itself was built with, else cc."""
    known = shlex.split(sysconfig.get_config_var("LDSHARED") or "cc -shared")
    asked = shlex.split(os.environ.get("CC", ""))
    if asked or not shutil.which(known[0]):
        known[:1] = asked or ["cc"]
    return known


if __name__ == "__main__":
    try:
        build(sys.argv[1:])
    except CompilerError as error:
        sys.exit(f"build: {error}")
