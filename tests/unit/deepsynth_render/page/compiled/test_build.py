"""The core as it is compiled: from these sources, without a compiler, and under the sanitizers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepsynth_render.page.compiled.build import CompilerError, build, compute_digest
from deepsynth_render.page.compiled.loading import IS_BUILT, core

HERE = Path(__file__).parent

UNDER_SANITIZERS = """
import importlib.util, sys
import pytest
name = "deepsynth_render.page.compiled._core"
specification = importlib.util.spec_from_file_location(name, sys.argv[1])
sys.modules[name] = module = importlib.util.module_from_spec(specification)
specification.loader.exec_module(module)
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-m", "not slow", *sys.argv[2:]]))
"""


def test_the_core_is_built_from_these_sources() -> None:
    assert IS_BUILT, "run `make setup`, or python workloads/deepsynth_render/page/compiled/build.py"
    assert compute_digest() == core.SOURCES, "the C files have changed: run `make setup` again"


def test_the_renderer_can_be_imported_where_the_core_is_not_built() -> None:
    program = (
        "import sys; sys.modules['deepsynth_render.page.compiled._core'] = None; "
        "from deepsynth_render.page import PageRenderer, raster; print(raster.IS_BUILT)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr


def test_a_core_of_other_sources_is_refused_with_the_remedy() -> None:
    program = (
        "import sys, types; core = types.ModuleType('_core'); core.SOURCES = 'older'; "
        "sys.modules['deepsynth_render.page.compiled._core'] = core; from deepsynth_render.page import PageRenderer"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "_core.abi3.so was built from other C files; run `make setup`" in done.stderr.splitlines()[-1]


def test_without_a_compiler_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(CompilerError, match=r"no-such-compiler: No such file .*apt-get install gcc"):
        build([], tmp_path / "core.so")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_sanitizers_find_no_memory_error_and_no_undefined_behaviour(tmp_path: Path) -> None:
    extension = tmp_path / "_core.abi3.so"
    build(["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"], extension)
    libraries = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
    }
    tests = [str(HERE / f"test_{name}.py") for name in ("loops", "same_pages", "words")]
    command = [sys.executable, "-c", UNDER_SANITIZERS, str(extension), *tests, f"--rootdir={HERE.parents[4]}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
