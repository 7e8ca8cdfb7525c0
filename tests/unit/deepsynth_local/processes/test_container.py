import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from deepsynth_local.processes.container import UnsupportedVolumeError, build_command, translate_path
from deepsynth_local.runs.runs_folder import RunsFolder

TMP = "/tmp"  # noqa: S108 - the mount path inside the container


def build_pod(**container: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "train-0-abc", "uid": "uid-1"},
        "spec": {
            "volumes": [
                {"name": "workload", "configMap": {"name": "doc"}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "cache", "emptyDir": {}},
                {"name": "pages", "persistentVolumeClaim": {"claimName": "pages"}},
            ],
            "containers": [
                {
                    "command": ["python", "-m", "deepsynth_train"],
                    "args": ["--document", "/etc/deepsynth/workload.json"],
                    "terminationMessagePath": "/dev/termination-log",
                    "volumeMounts": [
                        {"name": "workload", "mountPath": "/etc/deepsynth"},
                        {"name": "tmp", "mountPath": TMP},
                        {"name": "cache", "mountPath": "/var/cache/deepsynth"},
                        {"name": "pages", "mountPath": "/data", "subPath": "xsum"},
                    ],
                    **container,
                }
            ],
        },
    }


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunsFolder:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return RunsFolder.open(tmp_path)


def build(pod: dict[str, Any], runs: RunsFolder) -> Any:
    return build_command(pod, {"doc": {"workload.json": "{}"}}, runs, report="127.0.0.1:1", master="127.0.0.1:2")


def test_a_container_becomes_a_command_on_this_machine(runs: RunsFolder) -> None:
    command = build(build_pod(), runs)

    document = runs.pod_folder("train-0-abc") / "volumes/workload/workload.json"
    assert command.arguments == [sys.executable, "-m", "deepsynth_train", "--document", str(document)]
    assert document.read_text() == "{}"
    assert command.environment["DEEPSYNTH_TERMINATION_LOG"] == str(command.termination_log)
    assert command.environment["DEEPSYNTH_REPORT_ADDRESS"] == "127.0.0.1:1"
    assert command.environment["DEEPSYNTH_MASTER_ADDRESS"] == "127.0.0.1:2"
    assert command.environment["DEEPSYNTH_VOLUMES"] == str(runs.volumes)


def test_paths_in_the_environment_are_translated_and_caches_in_tmp_stay_the_users(
    runs: RunsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/user")
    env = [
        {"name": "HOME", "value": f"{TMP}/home"},
        {"name": "INPUT", "value": "/data/train"},
        {"name": "OTHER", "value": "/database"},
        {"name": "DEEPSYNTH_CACHE", "value": "/var/cache/deepsynth"},
        {"name": "EMPTY"},
    ]

    environment = build(build_pod(env=env), runs).environment

    assert environment["HOME"] == "/home/user"
    assert environment["INPUT"] == str(runs.volumes / "pages/xsum/train")
    assert environment["OTHER"] == "/database"
    assert environment["DEEPSYNTH_CACHE"] == str(runs.pod_folder("train-0-abc") / "volumes/cache")
    assert "EMPTY" not in environment


def test_the_key_of_a_secret_is_taken_from_the_environment(runs: RunsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t")
    reference = {"valueFrom": {"secretKeyRef": {"name": "hub", "key": "TOKEN"}}}

    assert build(build_pod(env=[{"name": "MINE", **reference}]), runs).environment["MINE"] == "t"


def test_a_pod_sees_the_gpus_of_its_limits_and_no_others(runs: RunsFolder) -> None:
    pod = build_pod(resources={"limits": {"nvidia.com/gpu": 2}})
    pod["metadata"]["labels"] = {"batch.kubernetes.io/job-completion-index": "1"}

    assert build(pod, runs).environment["CUDA_VISIBLE_DEVICES"] == "2,3"
    other = build_pod()
    other["metadata"]["name"] = "train-1-def"
    assert build(other, runs).environment["CUDA_VISIBLE_DEVICES"] == ""


def test_a_volume_that_needs_a_cluster_is_named(runs: RunsFolder) -> None:
    pod = build_pod()
    pod["spec"]["volumes"][3] = {"name": "pages", "csi": {"driver": "x"}}

    with pytest.raises(UnsupportedVolumeError, match="volume pages: csi needs a cluster"):
        build(pod, runs)


def test_the_longest_mount_wins() -> None:
    paths = {"/mnt/volumes": Path("/a"), "/mnt/volumes/x": Path("/b")}

    assert translate_path("/mnt/volumes/x/y", paths) == "/b/y"
    assert translate_path("/mnt/volumes/xy", paths) == "/a/xy"
    assert translate_path("--document", paths) == "--document"
