"""What importing the package costs, and that no module imports itself through others."""

import graphlib
import subprocess
import sys

import grimp

ROOT = "deepsynth_train"


def test_importing_the_package_loads_neither_torch_nor_transformers() -> None:
    code = f"import {ROOT}, sys; print([m for m in ('torch', 'transformers', 'pyarrow') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output == "[]\n"


def test_there_is_no_import_circle_not_even_for_type_checking() -> None:
    """Importing a.b.c also imports a and a.b. Only the lazy `deepsynth_train.Trainer` may point back to the top."""
    graph = grimp.build_graph(ROOT, cache_dir=None, exclude_type_checking_imports=False)
    imports = {
        module: {other for found in graph.find_modules_directly_imported_by(module) for other in _with_parents(found)}
        | set(_with_parents(module)[1:])
        for module in graph.modules
    }
    graphlib.TopologicalSorter({module: found - {module, ROOT} for module, found in imports.items()}).prepare()


def _with_parents(module: str) -> list[str]:
    """`a.b.c` -> `a.b.c`, `a.b`, `a`."""
    names = module.split(".")
    return [".".join(names[:length]) for length in range(len(names), 0, -1)]
