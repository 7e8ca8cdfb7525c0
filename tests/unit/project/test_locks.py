"""Each image installs the versions that the tests use, and only the packages that it needs."""

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[3] / "requirements"
PIN = re.compile(r"^([a-z0-9.-]+)==([^ ;]+) ?(?:; ([^\\]+))?", re.MULTILINE)


def read_pins(name: str) -> set[tuple[str, str]]:
    """Pairs of name and version. Some packages have different versions for different Pythons."""
    return {(package, version) for package, version, _ in PIN.findall((REQUIREMENTS / name).read_text())}


def read_packages(name: str) -> set[str]:
    return {package for package, _ in read_pins(name)}


@pytest.mark.parametrize("lock", ["cpu.txt", "gpu.txt"])
def test_images_install_the_versions_that_the_tests_use(lock: str) -> None:
    pins = read_pins(lock)
    assert len(pins) > 40
    assert pins <= read_pins("all.txt")


@pytest.mark.parametrize("lock", ["all.txt", "bootstrap.txt", "cpu.txt", "docs.txt", "gpu.txt"])
def test_every_locked_package_has_a_hash_and_no_address(lock: str) -> None:
    text = (REQUIREMENTS / lock).read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=[a-z])", text)
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    ("lock", "needed", "unwanted"),
    [
        (
            "cpu.txt",
            {"kubernetes", "prometheus-client", "matplotlib", "isal", "pillow", "pyarrow", "huggingface-hub"},
            {"torch", "transformers", "datasets", "numba", "pandas", "pytest"},
        ),
        (
            "gpu.txt",
            {"torch", "transformers", "datasets", "peft", "tensorboard", "huggingface-hub", "prometheus-client"},
            {"kubernetes", "isal", "matplotlib", "pytest"},
        ),
    ],
)
def test_an_image_installs_what_it_needs_and_nothing_of_the_other_image(
    lock: str, needed: set[str], unwanted: set[str]
) -> None:
    packages = read_packages(lock)
    assert needed <= packages
    assert not unwanted & packages
