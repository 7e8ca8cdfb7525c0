"""The pages of a cluster: the same as of a folder, and what a cluster adds: namespaces, volumes, refusals."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from deepsynth_client.cluster import kubeconfig, volume_pods
from deepsynth_client.cluster.api import Api
from deepsynth_client.cluster.kubeconfig import log_in
from deepsynth_client.cluster.namespace import ClusterResources
from deepsynth_client.interface import Selection
from integration.client.fake_cluster import FakeCluster
from integration.client.places import ClusterPlace, build_pod, serve_cluster, write_files
from integration.ui.served_pages import run_board, serve_pages
from support.html_page import Collector
from support.resources.builders import a_training_run

ATTEMPT = {"number": 1, "startTime": "2026-01-02T03:01:00Z", "job": "read-xsum-1", "image": "gpu:1"}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    with serve_cluster(tmp_path, monkeypatch) as cluster:
        yield cluster


def connect(namespace: str = "") -> ClusterResources:
    return ClusterResources(Api(log_in("fake", namespace)))


def a_run(namespace: str = "default", **status: Any) -> dict[str, Any]:
    usual = {"state": "Running", "attempts": [ATTEMPT]}
    return a_training_run().named("read-xsum", namespace).with_status(**{**usual, **status}).to_manifest()


def write_curve(volumes: Path) -> None:
    lines = [{"step": step, "loss": 9 - step / 200} for step in range(100, 1300, 100)]
    write_files(volumes, {"checkpoints/read-xsum/step-1200/metrics.jsonl": "\n".join(map(json.dumps, lines))})


def read(client: TestClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    Collector(answer.text)
    return answer.text


def test_a_run_has_its_events_and_the_log_of_its_pod(cluster: FakeCluster) -> None:
    place = ClusterPlace(cluster)
    cluster.put(a_run())
    place.record_event(a_run(), "AttemptStarted", "number 1")
    place.write_log("read-xsum-1", 0, "launcher", "rank 0: step 7", "rank 1: other")

    with serve_pages(connect()) as client:
        assert "context fake, namespace default" in read(client, "/")
        assert "AttemptStarted" in read(client, "/runs/default/read-xsum")
        log = read(client, "/runs/default/read-xsum/logs")

    assert "launcher\nstep 7\n" in log


def test_the_log_of_a_pod_that_has_not_started_says_what_it_waits_for(cluster: FakeCluster) -> None:
    cluster.put(a_run())
    obstacle = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes have a free GPU"}
    pod = {**build_pod("read-xsum-1", 0), "status": {"phase": "Pending", "conditions": [obstacle]}}
    cluster.put(pod)

    with serve_pages(connect()) as client:
        log = read(client, "/runs/default/read-xsum/logs")

    assert f"pod {pod['metadata']['name']} has not started: 0/3 nodes have a free GPU" in log


def test_files_of_a_volume_are_read_when_the_user_asks_and_by_no_link(cluster: FakeCluster) -> None:
    cluster.put(a_run())
    write_curve(cluster.volumes)

    with serve_pages(connect()) as client:
        before = read(client, "/runs/default/read-xsum")
        assert "Read them" in before
        assert "training from" not in before
        assert client.get("/runs/default/read-xsum/files").status_code == 405
        done = client.post("/runs/default/read-xsum/files", headers=SAME_ORIGIN, follow_redirects=False)
        assert (done.status_code, done.headers["location"]) == (303, "../../../runs/default/read-xsum")
        assert "training from 8.5 to" in read(client, "/runs/default/read-xsum")

    assert [item for item in cluster.objects.values() if item["kind"] == "Pod"] == [], "the pod is deleted"


def test_a_page_that_others_reach_starts_no_pods(cluster: FakeCluster) -> None:
    cluster.put(a_run())

    with serve_pages(connect(), hosts=(), may_fetch=False) as client:
        page = read(client, "/runs/default/read-xsum")
        assert "which this page does not have" in page
        assert "<form method" not in page
        assert client.post("/runs/default/read-xsum/files", headers=SAME_ORIGIN).status_code == 400
    assert not [seen for seen in cluster.requests if seen.method == "POST"]


def test_a_mounted_claim_is_read_for_runs_of_the_pod_s_own_namespace_only(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim of the same name in another namespace is another claim."""
    (tmp_path / "account").mkdir()
    (tmp_path / "account/namespace").write_text("team-a")
    monkeypatch.setattr(kubeconfig, "_SERVICE_ACCOUNT", tmp_path / "account")
    monkeypatch.setattr(volume_pods, "VOLUMES_PATH", str(cluster.volumes))
    write_curve(cluster.volumes)
    for namespace in ("team-a", "team-b"):
        cluster.put(a_run(namespace))

    with serve_pages(connect("team-a"), Selection(all_namespaces=True)) as client:
        assert "training from 8.5 to" in read(client, "/runs/team-a/read-xsum")
        assert "training from" not in read(client, "/runs/team-b/read-xsum")


@pytest.mark.parametrize("uri", ["pvc://checkpoints/../secret", "pvc://checkpoints/link", "pvc://../secret"])
def test_a_uri_does_not_lead_out_of_its_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setattr(volume_pods, "find_own_namespace", lambda: "default")
    monkeypatch.setattr(volume_pods, "VOLUMES_PATH", str(tmp_path / "volumes"))
    (tmp_path / "volumes/checkpoints").mkdir(parents=True)
    for secret in (tmp_path / "secret", tmp_path / "volumes/secret"):
        secret.mkdir()
    (tmp_path / "volumes/checkpoints/link").symlink_to(tmp_path / "secret")
    api: Any = None

    assert volume_pods.VolumePods(api, a_run()).find_folder("pvc://checkpoints/") is not None
    assert volume_pods.VolumePods(api, a_run()).find_folder(uri) is None


def test_a_folder_of_a_claim_is_found_under_its_real_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers follow no link in it, so a tenant that replaces a part of it by a link later gains nothing."""
    monkeypatch.setattr(volume_pods, "find_own_namespace", lambda: "default")
    monkeypatch.setattr(volume_pods, "VOLUMES_PATH", str(tmp_path / "volumes"))
    (tmp_path / "volumes/checkpoints/run").mkdir(parents=True)
    (tmp_path / "volumes/checkpoints/link").symlink_to("run")
    api: Any = None

    found = volume_pods.VolumePods(api, a_run()).find_folder("pvc://checkpoints/link")

    assert found == tmp_path / "volumes/checkpoints/run"


def test_only_the_chosen_namespaces_are_shown(cluster: FakeCluster) -> None:
    for namespace in ("team-a", "team-b", "team-c"):
        cluster.put(a_run(namespace))

    with run_board(connect("team-a"), others=[connect("team-b")]) as board:
        namespaces = {item["metadata"]["namespace"] for item in board.list_all()}

    assert namespaces == {"team-a", "team-b"}


def test_a_refusal_is_shown_with_its_remedy(cluster: FakeCluster) -> None:
    cluster.has_crds = False

    with serve_pages(connect()) as client:
        assert "does not know trainingruns.deepsynth.io; install DeepSynth" in read(client, "/")
        assert client.get("/readyz").status_code == 503
        cluster.has_crds = True
        while client.get("/readyz").status_code != 200:
            pass
        assert "install DeepSynth" not in read(client, "/")
