"""Each image installs what the tests ran with, and no more."""

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[3] / "requirements"
PIN = re.compile(r"^([a-z0-9.-]+)==([^ ;]+) ?(?:; ([^\\]+))?", re.MULTILINE)


def read_pins(name: str) -> set[tuple[str, str]]:
    """Names with versions; some packages have a version for each of several Pythons."""
    return {(package, version) for package, version, _ in PIN.findall((REQUIREMENTS / name).read_text())}


def read_packages(name: str) -> set[str]:
    return {package for package, _ in read_pins(name)}


@pytest.mark.parametrize("lock", ["cpu.txt", "gpu.txt"])
def test_every_version_of_an_image_is_one_that_the_tests_run_with(lock: str) -> None:
    pins = read_pins(lock)
    assert len(pins) > 40
    assert pins <= read_pins("all.txt")


@pytest.mark.parametrize("lock", ["cpu.txt", "gpu.txt"])
def test_every_package_has_a_hash(lock: str) -> None:
    entries = re.split(r"\n(?=[a-z])", (REQUIREMENTS / lock).read_text())
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    ("lock", "needed", "unwanted"),
    [
        (
            "cpu.txt",
            {"kopf", "kubernetes", "prometheus-client", "matplotlib", "numba", "pyarrow", "huggingface-hub"},
            {"torch", "transformers", "datasets", "pandas", "pillow", "pytest"},
        ),
        (
            "gpu.txt",
            {"torch", "transformers", "datasets", "peft", "tensorboard", "huggingface-hub", "prometheus-client"},
            {"kopf", "kubernetes", "numba", "matplotlib", "pytest"},
        ),
    ],
)
def test_an_image_has_what_its_work_needs_and_not_the_other_half(
    lock: str, needed: set[str], unwanted: set[str]
) -> None:
    packages = read_packages(lock)
    assert needed <= packages
    assert not unwanted & packages
