"""What a build gets from this machine."""

import tomllib
from pathlib import Path

import pytest

from deepsynth_host.errors import ToolError
from deepsynth_images.engines import CommandLine, find_engine
from deepsynth_images.machine import build_pip_configuration, build_uv_configuration, require_commands, write_secrets


def test_pip_keeps_its_mirror_and_loses_what_names_local_files() -> None:
    options = {
        "index-url": "https://mirror.example/simple",
        "trusted-host": "mirror.example",
        "find-links": "/opt/wheels",
        "cert": "/etc/ssl/mine.pem",
    }
    assert build_pip_configuration(options, has_certificates=True) == (
        "[global]\n"
        "index-url = https://mirror.example/simple\n"
        "trusted-host = mirror.example\n"
        "cert = /run/secrets/certificates.pem\n"
    )


def test_uv_gets_the_same_mirrors_in_its_own_format() -> None:
    options = {
        "index-url": "https://mirror.example/simple",
        "extra-index-url": "https://one.example https://two.example",
        "trusted-host": "mirror.example",
        "timeout": "180",
    }
    assert tomllib.loads(build_uv_configuration(options)) == {
        "index-url": "https://mirror.example/simple",
        "extra-index-url": ["https://one.example", "https://two.example"],
        "allow-insecure-host": ["mirror.example"],
    }


def test_pips_environment_reaches_a_build_in_a_file_that_only_its_owner_reads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    configuration = write_secrets(tmp_path)["pip.conf"]
    assert "index-url = https://mirror.example/simple\n" in configuration.read_text()
    assert configuration.stat().st_mode & 0o777 == 0o600


def test_the_certificates_that_this_machine_names_go_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "mine.pem"
    bundle.write_text("certificates")
    monkeypatch.setenv("PIP_CERT", str(bundle))
    assert write_secrets(tmp_path)["certificates.pem"] == bundle


def test_a_user_who_may_not_install_gets_the_list_of_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ToolError, match="no-such-program not found: install them, or Docker or Podman"):
        require_commands("no-such-program")


def test_a_docker_client_without_its_service_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, code in {"docker": 1, "podman": 0}.items():
        (programs / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    assert find_engine(tmp_path) == CommandLine("podman")
