"""The client on a cluster: lost connections, old versions, and every refusal as one line with its remedy."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deepsynth.__main__ import main
from deepsynth.place import Choice, open_resources
from deepsynth_client.errors import NoClusterError
from deepsynth_client.interface import PodLog, Resources, Selection
from integration.client.fake_cluster import FakeCluster, write_kubeconfig
from integration.client.places import ClusterPlace, build_pod, serve_cluster
from support.cluster.fake_api_server import Fault
from support.free_port import find_free_port
from support.resources.builders import a_dataset_generation, a_training_run


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    monkeypatch.chdir(tmp_path)
    with serve_cluster(tmp_path, monkeypatch) as cluster:
        yield cluster


@pytest.fixture
def resources(cluster: FakeCluster) -> Resources:
    return open_resources(Choice())


def put(cluster: FakeCluster, name: str, state: str) -> None:
    cluster.put(a_training_run(name).named(name, uid=f"uid-{name}").with_status(state=state).to_manifest())


def test_a_watch_continues_after_a_lost_connection_and_after_410(cluster: FakeCluster, resources: Resources) -> None:
    put(cluster, "a", "Pending")
    put(cluster, "gone", "Pending")
    watching = resources.watch("TrainingRun")

    def see(count: int) -> list[tuple[str, str, Any]]:
        changes = [next(watching) for _ in range(count)]
        return [(item.type, item.resource["metadata"]["name"], item.resource["status"]["state"]) for item in changes]

    assert see(2) == [("ADDED", "a", "Pending"), ("ADDED", "gone", "Pending")]
    assert next(watching).type == "LISTED"
    put(cluster, "a", "Running")
    assert see(1) == [("MODIFIED", "a", "Running")]
    cluster.break_watches()
    put(cluster, "b", "Pending")
    assert see(1) == [("ADDED", "b", "Pending")]
    cluster.break_watches()
    cluster.delete("TrainingRun", "gone")
    put(cluster, "a", "Complete")
    cluster.forget_history()  # the next watch gets 410 and lists again
    assert see(2) == [("DELETED", "gone", "Pending"), ("MODIFIED", "a", "Complete")]


def test_an_error_in_a_watch_lists_again(cluster: FakeCluster, resources: Resources) -> None:
    put(cluster, "a", "Pending")
    watching = resources.watch("TrainingRun")
    assert [next(watching).type, next(watching).type] == ["ADDED", "LISTED"]
    put(cluster, "a", "Running")
    assert next(watching).resource["status"]["state"] == "Running"
    cluster.fail_watches(410, "too old")
    put(cluster, "a", "Complete")
    assert next(watching).resource["status"]["state"] == "Complete"


def test_a_followed_log_has_no_gap_and_no_repeated_line_after_lost_connections(
    cluster: FakeCluster, resources: Resources
) -> None:
    place = ClusterPlace(cluster)
    run = a_training_run().to_manifest()
    lines = [f"line {number}" for number in range(30)]
    place.write_log("job", 0, *lines[:20])
    cluster.log_cuts = 5

    def finish() -> None:
        threading.Event().wait(1)
        place.write_log("job", 0, *lines[20:])
        place.finish_pod("job", 0)

    thread = threading.Thread(target=finish)
    thread.start()
    log = PodLog("job-0-x", "job", 0, is_over=False)
    assert [*resources.read_log(run, log, follow=True)] == lines
    thread.join()
    assert cluster.log_cuts == 0


def test_a_list_whose_pages_expire_starts_again(cluster: FakeCluster, resources: Resources) -> None:
    put(cluster, "a", "Pending")
    cluster.faults.append(Fault(status=410, path="trainingruns", body={"kind": "Status", "reason": "Expired"}))

    assert [item["metadata"]["name"] for item in resources.list_all("TrainingRun", Selection())] == ["a"]


FORBIDDEN = 'trainingruns.deepsynth.io is forbidden: User "eve" cannot list resource "trainingruns"'


@pytest.mark.parametrize(
    ("fault", "code", "parts"),
    [
        (
            Fault(status=403, body={"kind": "Status", "reason": "Forbidden", "message": FORBIDDEN}),
            77,
            [
                "you may not list trainingruns.deepsynth.io in namespace default",
                "ClusterRole `view`",
                "verb list",
                "eve",
            ],
        ),
        (
            Fault(status=401, body={"kind": "Status", "message": "Unauthorized"}),
            77,
            ["context fake: not logged in (Unauthorized); log in again"],
        ),
        (Fault(status=503, body={"kind": "Status", "message": "etcd"}), 69, ["cannot answer now (HTTP 503): etcd"]),
        (Fault(status=200, body={}), 70, []),
    ],
)
def test_a_refusal_is_one_line_with_the_remedy(
    cluster: FakeCluster, fault: Fault, code: int, parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.faults.append(fault)

    assert main(["get", "trun"]) == code

    error = capsys.readouterr().err.splitlines()[1:]
    assert len(error) == 1
    for part in parts:
        assert part in error[0]


def test_missing_crds_are_not_reported_as_no_resources(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.has_crds = False

    assert main(["get", "trun"]) == 78
    error = capsys.readouterr().err
    assert "the API server does not know trainingruns.deepsynth.io; install DeepSynth" in error


def test_a_conflict_names_the_manager_and_the_option(
    cluster: FakeCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    causes = [{"reason": "FieldManagerConflict", "message": 'conflict with "argocd"', "field": ".spec.maxSteps"}]
    body = {"kind": "Status", "reason": "Conflict", "message": "Apply failed", "details": {"causes": causes}}
    cluster.faults.append(Fault(status=409, method="PATCH", body=body))
    file = tmp_path / "run.yaml"
    file.write_text("apiVersion: deepsynth.io/v1alpha1\nkind: TrainingRun\nmetadata: {name: a}\nspec: {}\n")

    assert main(["apply", "-f", str(file)]) == 1
    assert '.spec.maxSteps (conflict with "argocd"); add --force-conflicts' in capsys.readouterr().err
    assert main(["apply", "-f", str(file), "--force-conflicts"]) == 0
    request = next(item for item in reversed(cluster.requests) if item.method == "PATCH")
    assert request.query == {"fieldManager": "deepsynth", "fieldValidation": "Strict", "force": "true"}


TYPED = "failed to create typed patch object (default/a; deepsynth.io/v1alpha1, Kind=TrainingRun): "


@pytest.mark.parametrize(
    ("field", "refusal", "expected"),
    [
        (
            "globalBatchsize: 8",
            ".spec.globalBatchsize: field not declared in schema",
            "run.yaml:5: spec.globalBatchsize: unknown field; did you mean globalBatchSize?",
        ),
        (
            'maxSteps: "40"',
            '.spec.maxSteps: expected numeric (int or float), got string "40"',
            'run.yaml:5: spec.maxSteps: Invalid value: "40": must be of type integer; write it without quotes',
        ),
        # The cluster has the CRDs of another version.
        ("maxSteps: 40", ".spec.maxSteps: field not declared in schema", f"run.yaml: {TYPED}.spec.maxSteps: field not"),
    ],
)
def test_a_field_that_server_side_apply_does_not_know_is_invalid_and_has_its_line(
    cluster: FakeCluster, field: str, refusal: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"kind": "Status", "reason": "InternalError", "message": f"{TYPED}{refusal}"}
    cluster.faults.append(Fault(status=500, method="PATCH", body=body))
    head = "apiVersion: deepsynth.io/v1alpha1\nkind: TrainingRun\nmetadata: {name: a}\nspec:\n"
    Path("run.yaml").write_text(f"{head}  {field}\n")

    assert main(["apply", "-f", "run.yaml"]) == 64

    error = capsys.readouterr().err
    assert expected in error
    assert "Required value" not in error
    assert "try again" not in error


NO_CLAIM = '0/3 nodes are available: persistentvolumeclaim "checkpoints" not found'
NO_SECRET = 'secret "hub" not found'
UNSCHEDULED = {"conditions": [{"type": "PodScheduled", "status": "False", "message": NO_CLAIM}]}


def put_waiting_pod(cluster: FakeCluster, **status: Any) -> None:
    pod = build_pod("job", 0)
    pod["metadata"]["uid"] = "uid-pod"
    cluster.put({**pod, "status": {"phase": "Pending", **status}})


def build_wait(reason: str, **message: str) -> dict[str, Any]:
    statuses = [{"name": "train", "state": {"waiting": {"reason": reason, **message}}}]
    not_ready = [{"type": "Ready", "status": "False", "message": "containers with unready status: [train]"}]
    return {"containerStatuses": statuses, "conditions": not_ready}


@pytest.mark.parametrize(
    ("status", "obstacle"),
    [
        (UNSCHEDULED, NO_CLAIM),
        (
            build_wait("CreateContainerConfigError", message=NO_SECRET),
            f"CreateContainerConfigError: {NO_SECRET}\n",
        ),
        (build_wait("ContainerCreating"), "ContainerCreating: MountVolume failed\n"),
        ({}, "MountVolume failed\n"),
    ],
)
@pytest.mark.parametrize("kind", ["trun", "dsg"])
def test_logs_of_a_pod_that_has_not_started_say_what_it_waits_for(
    cluster: FakeCluster, kind: str, status: dict[str, Any], obstacle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    attempt = {"number": 1, "startTime": "2026-01-02T03:01:00Z", "job": "job", "image": "gpu:1"}
    job = {"name": "job", "step": "Render", "startTime": "2026-01-02T03:01:00Z"}
    run, generation = a_training_run().with_status(attempts=[attempt]), a_dataset_generation().with_status(jobs=[job])
    resource = (run if kind == "trun" else generation).to_manifest()
    cluster.put(resource)
    put_waiting_pod(cluster, **status)
    event = {"type": "Warning", "message": "MountVolume failed", "lastTimestamp": "2026-01-02T03:10:00Z"}
    involved = {"kind": "Pod", "name": "job-0-x", "uid": "uid-pod"}
    cluster.put(
        {"kind": "Event", "metadata": {"name": "e", "namespace": "default"}, "involvedObject": involved, **event}
    )

    assert main(["logs", f"{kind}/{resource['metadata']['name']}"]) == 1

    assert f"attempt 1, rank 0: pod job-0-x has not started: {obstacle}" in capsys.readouterr().err
    assert not [item for item in cluster.requests if item.method == "POST"]


def test_logs_f_wait_for_a_pod_that_has_not_started(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepsynth.verbs.logs.POLL_SECONDS", 0.01)
    attempt = {"number": 1, "startTime": "2026-01-02T03:01:00Z", "job": "job", "image": "gpu:1"}
    ended = {"state": "Complete", "observedGeneration": 1, "completionTime": "2026-01-02T04:00:00Z"}
    cluster.put(a_training_run().with_status(attempts=[attempt], **ended).to_manifest())
    put_waiting_pod(cluster, **UNSCHEDULED)
    lines: list[str] = []

    def say(line: str = "", **_: Any) -> None:
        lines.append(line)
        if line.endswith("; waiting for it"):
            cluster.delete("Pod", "job-0-x")
            ClusterPlace(cluster).write_log("job", 0, "step 1")
            cluster.finish("job-0-x")

    monkeypatch.setattr("builtins.print", say)
    assert main(["logs", "-f", "read-xsum"]) == 0

    assert lines[1:] == [
        f"trainingrun/read-xsum, attempt 1, rank 0: pod job-0-x has not started: {NO_CLAIM}; waiting for it",
        "trainingrun/read-xsum, attempt 1, rank 0, pod job-0-x",
        "step 1",
    ]


def test_logs_of_a_pod_that_is_gone_name_a_missing_claim_at_once(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    attempt = {"number": 1, "startTime": "2026-01-02T03:01:00Z", "job": "job", "image": "gpu:1"}
    cluster.put(a_training_run().with_status(attempts=[attempt]).to_manifest())
    cluster.has_claims = False

    assert main(["logs", "read-xsum"]) == 1

    error = capsys.readouterr().err
    assert "the pod of attempt 1, rank 0 is gone and claim checkpoints does not exist; `deepsynth describe" in error
    assert not [item for item in cluster.objects.values() if item["kind"] == "Pod"], "the pod that looked for it"


def test_delete_with_data_that_cannot_be_reached_deletes_nothing_and_says_so(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attempt = {"number": 1, "startTime": "2026-01-02T03:01:00Z", "job": "job", "image": "gpu:1"}
    ended = {"state": "Complete", "observedGeneration": 1, "completionTime": "2026-01-02T04:00:00Z"}
    cluster.put(a_training_run().with_status(attempts=[attempt], **ended).to_manifest())
    source = "raise SystemExit('deepsynth_api.errors.TemporaryError: s3.example.com does not answer')"
    Path("source.py").write_text(source)
    monkeypatch.setattr("deepsynth_client.cluster.in_pod.__file__", "source.py")

    assert main(["delete", "read-xsum", "--data", "--yes"]) == 1

    error = capsys.readouterr().err
    assert "nothing is deleted, because its data cannot be reached: pod deepsynth-files-" in error
    assert "could not measure the files: s3.example.com does not answer; `deepsynth delete" in error
    assert cluster.get("TrainingRun", "read-xsum") is not None


@pytest.mark.parametrize(
    ("is_openshift", "template", "user"),
    [(False, {}, 65532), (True, {}, None), (True, {"runAsUser": 1000}, 1000)],
)
def test_pods_that_read_files_have_the_user_of_the_pods_that_wrote_them(
    cluster: FakeCluster, *, is_openshift: bool, template: dict[str, Any], user: int | None
) -> None:
    cluster.is_openshift = is_openshift
    attempt = {"number": 1, "startTime": "2026-01-02T03:01:00Z", "job": "job", "image": "gpu:1"}
    ended = {"state": "Complete", "observedGeneration": 1, "completionTime": "2026-01-02T04:00:00Z"}
    run = a_training_run().with_spec(checkpoint={"uri": "pvc://checkpoints/read-xsum"}, template=template)
    cluster.put(run.with_status(attempts=[attempt], **ended).to_manifest())
    (cluster.volumes / "checkpoints/read-xsum").mkdir(parents=True)

    assert main(["delete", "read-xsum", "--data", "--yes"]) == 0

    assert set(cluster.users) == {user}


def test_an_unreachable_server_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    port = find_free_port()
    write_kubeconfig(tmp_path / "kubeconfig", port)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))

    assert main(["get"]) == 69
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"the API server http://127.0.0.1:{port} (context fake) does not answer" in error
    assert "Connection refused" in error


def test_a_wrong_context_lists_those_that_exist(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "--context", "prod"]) == 78
    assert "--context prod: not in" in capsys.readouterr().err


def test_without_a_kubeconfig_the_folder_is_used_unless_a_cluster_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))

    assert main(["get"]) == 0
    assert capsys.readouterr().err.startswith(f"folder {tmp_path}/deepsynth-runs")
    assert main(["get", "-n", "team"]) == 78
    assert "no kubeconfig found" in capsys.readouterr().err


def test_a_damaged_kubeconfig_is_an_error_and_not_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubeconfig").write_text("current-context: a\n")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))

    with pytest.raises(NoClusterError, match="choose a context with --context"):
        open_resources(Choice(namespace="a"))


def test_wait_reports_once_that_no_operator_has_seen_a_new_resource(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepsynth.verbs.waiting.SILENCE_SECONDS", 0.5)
    new = a_training_run().with_status(observedGeneration=-1)
    cluster.put(new.to_manifest())
    said: list[str] = []

    def say(line: str = "", **_: Any) -> None:
        said.append(line)
        if "no operator has seen it; is one running?" in line:
            ended = {"state": "Complete", "observedGeneration": 1, "completionTime": "2026-01-02T04:00:00Z"}
            cluster.put(new.with_status(**ended).to_manifest())

    monkeypatch.setattr("builtins.print", say)
    assert main(["wait", "read-xsum"]) == 0
    assert len([line for line in said if "no operator" in line]) == 1


def test_the_plugin_of_kubectl_uses_the_cluster_also_where_a_folder_is(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deepsynth-runs").mkdir()
    put(cluster, "a", "Running")

    assert main(["get"]) == 0
    assert capsys.readouterr().err.startswith("folder ")
    monkeypatch.setattr("sys.argv", ["/usr/bin/kubectl-deepsynth"])
    assert main(["get"]) == 0
    assert "Running" in capsys.readouterr().out


def test_a_pod_that_reads_files_is_deleted_also_when_it_fails(
    cluster: FakeCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attempt = {"number": 1, "startTime": "2026-01-02T03:01:00Z", "job": "job", "image": "gpu:1"}
    cluster.put(a_training_run().with_status(attempts=[attempt]).to_manifest())
    (tmp_path / "volumes").mkdir()

    assert main(["logs", "read-xsum"]) == 1
    assert "attempt-1-rank-0.log does not exist" in capsys.readouterr().err
    [pod] = [item.body for item in cluster.requests if item.method == "POST" and item.path.endswith("/pods")]
    assert pod["spec"]["containers"][0]["volumeMounts"][0]["readOnly"] is True
    assert cluster.list_kind("Pod") == []
