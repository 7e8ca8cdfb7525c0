"""Imports between files and between folders run one way: the way that docs/concepts/architecture.md draws."""

import tomllib
from collections import defaultdict
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DRAWING = (ROOT / "docs" / "concepts/architecture.md").read_text()
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]

Imports = Mapping[str, set[str]]


@pytest.fixture(scope="module")
def imports() -> Imports:
    """Of every module, also those for type checking only."""
    import grimp

    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def find_circle(imports: Imports) -> list[str]:
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def test_no_module_imports_itself_by_way_of_others(imports: Imports) -> None:
    assert find_circle(imports) == []


def test_no_folder_imports_itself_by_way_of_others(imports: Imports) -> None:
    packages = {module.rpartition(".")[0] for module in imports}
    folders: dict[str, set[str]] = defaultdict(set)
    for module, imported in imports.items():
        folder = module if module in packages else module.rpartition(".")[0]
        for other in imported:
            folders[folder].add(other if other in packages else other.rpartition(".")[0])
    assert find_circle({folder: others - {folder} for folder, others in folders.items()}) == []


def test_a_circle_is_found() -> None:
    assert set(find_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


def test_the_drawing_of_the_architecture_has_every_folder_with_code() -> None:
    folders = [
        path.parent.name for top in ("operator", "workloads", "tools") for path in (ROOT / top).rglob("__init__.py")
    ]
    assert [name for name in folders if f"{name}/" not in DRAWING] == []


def test_the_drawing_of_the_architecture_has_every_folder_of_test_support() -> None:
    folders = {path.parent for path in (ROOT / "tests/support").glob("*/*.py")}
    assert sorted(folder.name for folder in folders if f"\n    {folder.name}/" not in DRAWING) == []


def test_every_package_says_what_belongs_there() -> None:
    for top in ("operator", "workloads", "tools"):
        for path in (ROOT / top).rglob("__init__.py"):
            text = path.read_text()
            assert text.startswith('"""'), f"{path.relative_to(ROOT)} has no docstring"
