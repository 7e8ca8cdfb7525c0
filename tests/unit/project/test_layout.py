"""Rules for the layout of the project that no linter checks."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SKIPPED = {"deepsynth-runs", "node_modules"}


def project_folders() -> list[Path]:
    return [
        folder
        for top in ROOT.iterdir()
        if top.is_dir() and not top.name.startswith(".") and top.name not in SKIPPED
        for folder in (top, *(child for child in top.rglob("*") if child.is_dir()))
    ]


def test_no_folder_named_operator_or_workloads_is_a_package() -> None:
    """`operator` is also a module of the standard library, which a package of that name would hide."""
    packages = [folder for folder in project_folders() if folder.name in {"operator", "workloads"}]
    assert ROOT / "operator" in packages
    assert [folder for folder in packages if (folder / "__init__.py").exists()] == []


def test_no_module_is_named_utils_or_helpers() -> None:
    drawers = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
    files = [
        path for top in ("operator", "workloads", "tools", "tests", "benchmarks") for path in (ROOT / top).rglob("*.py")
    ]
    assert [str(path) for path in files if path.name in drawers] == []


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("deepsynth_train", ["kubernetes", "torch"]),
        ("deepsynth_render", ["kubernetes", "torch", "transformers", "datasets"]),
        ("deepsynth_store", ["kubernetes", "torch", "transformers", "datasets"]),
        ("deepsynth_text", ["kubernetes", "torch", "numpy", "pyarrow"]),
        ("deepsynth_api", ["kubernetes", "torch", "numpy", "huggingface_hub"]),
    ],
)
def test_importing_a_package_does_not_import_heavy_libraries(package: str, forbidden: list[str]) -> None:
    script = f"import sys, {package}; print(sorted(set({forbidden!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
