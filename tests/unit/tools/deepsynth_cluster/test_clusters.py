"""Which cluster is taken, how its kubeconfig is written, and the command line."""

import json
from pathlib import Path

import pytest

from deepsynth_cluster.__main__ import main
from deepsynth_cluster.clusters.selection import find_given
from deepsynth_cluster.kubernetes.credentials import Pair, write_kubeconfig


def test_a_kubeconfig_of_the_user_is_taken_and_that_for_tests_comes_first(tmp_path: Path) -> None:
    own, for_tests = tmp_path / "own", tmp_path / "tests"
    assert find_given({}) is None
    assert find_given({"KUBECONFIG": str(own)}) == own.resolve()
    assert find_given({"KUBECONFIG": str(own), "DEEPSYNTH_E2E_KUBECONFIG": str(for_tests)}) == for_tests.resolve()


def test_a_kubeconfig_is_self_contained_and_private(tmp_path: Path) -> None:
    for name in ("ca", "crt", "key"):
        (tmp_path / name).write_text(name)
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, "c", "https://10.0.0.1:6443", tmp_path / "ca", Pair(tmp_path / "crt", tmp_path / "key"))
    content = json.loads(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600
    assert content["clusters"][0]["cluster"]["server"] == "https://10.0.0.1:6443"
    assert str(tmp_path) not in path.read_text()


def test_the_status_of_a_cluster_that_is_not_up_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path))
    with pytest.raises(SystemExit, match="cluster nowhere is not up"):
        main(["status", "--name", "nowhere"])


@pytest.mark.parametrize("action", ["up", "down", "status"])
def test_a_name_without_its_flag_is_refused_and_not_taken_for_the_default_cluster(
    action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([action, "mine"])
    assert f"{action} takes no images; name a cluster with --name" in capsys.readouterr().err
