"""Packages are installed by root on Debian; all others get a message with what to install."""

from pathlib import Path

import pytest

from deepsynth_host.errors import ToolError
from deepsynth_host.packages import install_packages

APT = """\
#!/bin/sh
echo "$@" >>{log}
case "$*" in *install*) [ "$(grep -c install {log})" -gt {failures} ] || {{ echo "no package" >&2; exit 100; }} ;; esac
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What apt-get is called with. By default its first `install` fails."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    put_apt(tmp_path / "log", failures=1)
    return tmp_path / "log"


def put_apt(log: Path, failures: int) -> None:
    program = log.with_name("apt-get")
    program.write_text(APT.format(log=log, failures=failures))
    program.chmod(0o755)


def read_verbs(log: Path) -> list[str]:
    return [
        next(word for word in line.split() if word in {"install", "update"}) for line in log.read_text().splitlines()
    ]


def test_packages_are_installed_after_an_update_if_they_are_not_found(log: Path) -> None:
    install_packages(["buildah", "skopeo"], "install them")
    assert read_verbs(log) == ["install", "update", "install"]
    assert log.read_text().endswith("--no-install-recommends buildah skopeo\n")


def test_an_update_is_skipped_if_packages_are_found(log: Path) -> None:
    put_apt(log, failures=0)
    install_packages(["buildah"], "install it")
    assert read_verbs(log) == ["install"]


def test_nothing_is_called_if_nothing_is_missing(log: Path) -> None:
    install_packages([], "install nothing")
    assert not log.exists()


def test_a_failure_has_the_end_of_what_apt_said(log: Path) -> None:
    put_apt(log, failures=9)
    with pytest.raises(ToolError, match="apt-get could not install buildah: no package"):
        install_packages(["buildah"], "install it")


def test_a_user_who_may_not_install_is_asked_to(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ToolError, match="install buildah, or Docker"):
        install_packages(["buildah"], "install buildah, or Docker")
    assert not log.exists()
