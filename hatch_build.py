"""Builds the wheel with the compiled core of the renderer, or without it where no C compiler is."""

import importlib.util
import sysconfig
import warnings
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_CORE = "workloads/deepsynth_render/page/compiled"


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """hatchling looks for this name."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into the source folder, where an editable install finds the core; the wheel takes it from there."""
        del version
        compiler = _load_compiler(Path(self.root, _CORE, "build.py"))
        try:
            compiler.build([])
        except compiler.CompilerError as error:
            warnings.warn(f"without the compiled core the renderer is slower: {error}", stacklevel=1)
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{_get_platform()}"
        build_data["artifacts"].append(f"{_CORE}/{compiler.EXTENSION.name}")


def _load_compiler(path: Path) -> Any:
    specification = importlib.util.spec_from_file_location("build_core", path)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _get_platform() -> str:
    """As in a wheel's name, such as linux_x86_64."""
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
