"""For all tests: how hypothesis looks for examples, however slow the machine is, and the same ones each time.

The same also means: no matter which other tests run. `pytest --hypothesis-profile=explore` looks for new ones.
"""

import logging
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest


@pytest.fixture
def restored_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For tests that configure the logs of a process."""
    for name in ("stdout", "stderr", "excepthook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--hypothesis-profile"):
        register_profiles()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> None:
    """Load hypothesis with the first module that names it: it takes a fifth of the time in which a small test runs."""
    if "hypothesis" in module_path.read_text(encoding="utf-8"):
        register_profiles()
        if not parent.config.getoption("--hypothesis-profile"):
            ignore_loaded_modules()


@cache
def register_profiles() -> None:
    """Once: what `--hypothesis-profile` chose after it stays chosen."""
    from hypothesis import HealthCheck, settings

    settings.register_profile("explore", derandomize=False, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("repeat", settings.get_profile("explore"), derandomize=True)
    settings.load_profile("repeat")


def ignore_loaded_modules() -> None:
    """Do not try numbers and strings of the modules that are loaded, which depend on the other tests of this run."""
    from hypothesis.internal.conjecture.providers import HypothesisProvider
    from hypothesis.internal.constants_ast import Constants

    HypothesisProvider._local_constants = Constants()  # type: ignore[method-assign, assignment]
