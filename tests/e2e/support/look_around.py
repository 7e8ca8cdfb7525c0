"""Runs inside an image and prints, as JSON, what it finds there. The arguments are modules to look for."""

import importlib.util
import json
import os
import pwd
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = Path("/opt/deepsynth/packages")
SECRETS = ("/etc/pip.conf", "/etc/apt/sources.list.d/build.list", "/run/secrets/pip.conf", "/run/secrets/uv.toml")


def look_around(modules: list[str]) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "user": pwd.getpwuid(os.getuid()).pw_name,
        "groups": os.getgroups(),
        "home": os.environ["HOME"],
        "root": try_to_write(PACKAGES / "file"),
        "version": version("deepsynth-operator"),
        "without_bytecode": [str(path) for path in PACKAGES.rglob("*.py") if not has_bytecode(path)],
        "left_behind": [path for path in SECRETS if Path(path).exists()],
        "licence": Path("/usr/share/licenses/deepsynth/LICENSE").exists(),
        "modules": [name for name in modules if is_there(name)],
    }


def try_to_write(path: Path) -> str:
    try:
        path.touch()
    except OSError as error:
        return str(error.strerror)
    return "written"


def has_bytecode(path: Path) -> bool:
    return Path(importlib.util.cache_from_source(str(path))).exists()


def is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    print(json.dumps(look_around(sys.argv[1:])))
