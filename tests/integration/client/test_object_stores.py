"""Verbs that look into what a run has left, where that is in an object store. In a cluster, only pods have its keys."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import obstore
import pytest
from obstore.store import S3Store

from deepsynth.__main__ import main
from deepsynth.place import Choice, open_resources
from deepsynth_train.checkpoint.manifest import Evaluation
from deepsynth_train.checkpoint.object_head import Entry, Head
from deepsynth_train.checkpoint.owner import Owner
from integration.client.places import ClusterPlace, Place, place
from integration.ui.served_pages import serve_pages
from support.free_port import find_free_port
from support.resources.builders import a_dataset_generation, a_training_run
from support.store.object_servers.moto_server import make_bucket, start_moto
from support.store.pages import build_page_rows, build_page_shard

__all__ = ["place"]

ATTEMPT = {"number": 1, "startTime": "2026-01-02T03:01:00Z", "job": "read-xsum-1", "image": "gpu:1"}
ENDED: dict[str, Any] = {
    "state": "Complete",
    "observedGeneration": 1,
    "completionTime": "2026-01-02T04:00:00Z",
    "attempts": [ATTEMPT],
}
KEYS: Final = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "correct-horse"}
RUN: Final = "runs/read-xsum"


class Store:
    """A bucket. Its keys are in the environment, or in a cluster only in the Secret `bucket`."""

    def __init__(self, place: Place, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self.bucket, self._monkeypatch = place, bucket, monkeypatch
        self.uri = f"s3://{bucket}/{RUN}"
        self.objects = S3Store(
            bucket,
            endpoint=start_moto(),
            access_key_id="a",
            secret_access_key="b",
            region="us-east-1",
            client_options={"allow_http": True},
        )
        self.use(start_moto())

    def use(self, endpoint: str) -> None:
        variables = {**KEYS, "AWS_ENDPOINT_URL": endpoint}
        if isinstance(self.place, ClusterPlace):
            self.place.cluster.secrets["bucket"] = variables
        else:
            for name, value in variables.items():
                self._monkeypatch.setenv(name, value)

    def write(self, key: str, text: str) -> None:
        obstore.put(self.objects, key, text.encode())

    def list_folders(self) -> set[str]:
        """What is directly below the run."""
        return {entry["path"].split("/")[2] for entry in obstore.list(self.objects, RUN).collect()}

    def list_steps(self) -> list[int]:
        """The checkpoints that a resume would find."""
        head = Head.decode(bytes(obstore.get(self.objects, f"{RUN}/checkpoints.json").bytes()))
        return [entry.step for entry in head.entries]

    def save(self, *steps: int, damaged: tuple[int, ...] = ()) -> None:
        """Checkpoints with 2,000 bytes each and their curves, some of them put aside."""
        evaluation = Evaluation(0.5, {"step": max(steps), "validation_loss": 0.125})
        entries = [Entry(step, name(step), "2026-01-02T03:04:00Z", 2, "x", None, evaluation) for step in steps]
        for step in (*steps, *damaged):
            curve = "".join(json.dumps({"step": at, "loss": 4 - at / 2}) + "\n" for at in range(1, step + 1))
            self.write(f"{RUN}/{name(step)}/metrics.jsonl", curve)
            self.write(f"{RUN}/{name(step)}/shards/a", "x" * (2000 - len(curve)))
        head = Head(Owner("uid-1", "same", 1), tuple(entries), tuple(map(name, damaged)))
        self.write(f"{RUN}/checkpoints.json", head.encode().decode())

    def put_pages(self, state: str = "Complete") -> None:
        """A published generation with its pages, or one that has not published yet."""
        output = {"uri": f"s3://{self.bucket}/pages", "secretRef": {"name": "bucket"}}
        job = {"name": "xsum-publish", "image": "cpu:1", "startTime": "2026-01-02T03:01:00Z", "step": "publish"}
        figures = {"rows": 40, "pages": 40, "bytes": 50_000, "manifestSha256": "abc"}
        published = {"uri": output["uri"], "revision": "abc", **figures} if state == "Complete" else None
        status = {"state": state, "jobs": [job], **({"output": published} if published else {})}
        self.place.put(a_dataset_generation().with_spec(output=output).with_status(**status).to_manifest())
        obstore.put(self.objects, "pages/data/train-00000.parquet", build_page_shard(build_page_rows(40)))

    def put_run(self, run: str = "read-xsum", status: dict[str, Any] = ENDED, **spec: Any) -> None:
        checkpoint = {"uri": self.uri, "secretRef": {"name": "bucket"}}
        built = a_training_run(run).named(run, uid=f"uid-{run}").with_spec(**{"checkpoint": checkpoint, **spec})
        self.place.put(built.with_status(**status).to_manifest())


def name(step: int) -> str:
    return f"step-{step}-{step:012x}"


@pytest.fixture
def store(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for variable in (*KEYS, "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(variable, raising=False)
    with make_bucket() as bucket:
        yield Store(place, bucket, monkeypatch)


def test_kept_logs_are_read_from_the_store(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.put_run()
    store.write(f"{RUN}/reports/attempt-1-rank-0.log", "step 7\nkilled\n")

    assert main(["logs", "read-xsum", *store.place.options]) == 0
    assert capsys.readouterr().out == "step 7\nkilled\n"
    assert main(["logs", "read-xsum", "--rank", "3", *store.place.options]) == 1
    assert "attempt-1-rank-3.log does not exist" in capsys.readouterr().err


def test_the_report_has_curves_and_samples_of_the_store(store: Store, tmp_path: Path) -> None:
    store.put_run()
    store.save(3, 2, damaged=(1,))
    sample = {"name": "xsum, row 3", "reference": "The expected words", "written": "Words", "cer": 0.5, "pages": []}
    store.write(f"{RUN}/samples/step-3.json", json.dumps({"step": 3, "samples": [sample]}))

    assert main(["report", "read-xsum", "-o", str(tmp_path / "page.html"), *store.place.options]) == 0

    text = (tmp_path / "page.html").read_text()
    assert "training from 3.5 to 2.5" in text
    assert "0.125" in text, "of the evaluation, which is in checkpoints.json"
    assert "The expected words" in text


def test_the_report_skips_objects_that_no_file_can_be_named_like(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.put_run()
    store.save(3)
    store.write(f"{RUN}/reports/{'x' * 300}.json", "{}")
    store.write(f"{RUN}/step-{'9' * 300}/metrics.jsonl", "{}")

    assert main(["report", "read-xsum", "-o", str(tmp_path / "page.html"), *store.place.options]) == 0
    assert "training from 3.5 to 2.5" in (tmp_path / "page.html").read_text()
    assert "2 files are not shown" in caplog.text


def test_compare_draws_curves_of_the_store(store: Store, tmp_path: Path) -> None:
    store.put_run()
    store.put_run("second", optimizer={"learningRate": "1e-5"})
    store.save(3)

    page = tmp_path / "page.html"
    assert main(["compare", "read-xsum", "second", "-o", str(page), *store.place.options]) == 0
    assert "second from 3.5 to 2.5" in page.read_text()


def test_a_store_that_does_not_answer_costs_the_report_its_curves_only(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.put_run()
    store.use(f"http://127.0.0.1:{find_free_port()}")

    assert main(["report", "-o", str(tmp_path / "page.html"), *store.place.options]) == 0

    said = capsys.readouterr()
    assert "trainingrun/read-xsum is shown without curves and samples" in said.err
    assert "cannot be reached" in said.err
    assert "read-xsum" in (tmp_path / "page.html").read_text()
    assert main(["delete", "read-xsum", "--data", "--yes", *store.place.options]) != 0
    assert store.place.get("TrainingRun", "read-xsum") is not None, "its data could not be deleted"


def test_prune_keeps_the_newest_and_the_best_checkpoint_of_a_store(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    best = {"step": 2, "uri": f"{store.uri}/{name(2)}", "time": "2026-01-02T03:04:00Z", "bytes": 2}
    store.put_run(status={**ENDED, "bestCheckpoint": best})
    store.save(4, 3, 2, 1, damaged=(5,))
    store.write(f"{RUN}/{name(6)}/shards/a", "x" * 2000)
    store.write(f"{RUN}/model/a", "x")

    assert main(["prune", "--yes", *store.place.options]) == 0

    said = capsys.readouterr()
    assert "8 kB  in all" in said.err
    assert f"{store.uri}/step-3\n" in said.err
    assert store.list_folders() == {"checkpoints.json", "model", name(4), name(2)}
    assert store.list_steps() == [4, 2]
    assert main(["prune", "--yes", *store.place.options]) == 0
    assert capsys.readouterr().out == "nothing to remove\n"


def test_prune_keeps_folders_of_a_store_with_names_that_the_trainer_does_not_give(store: Store) -> None:
    store.put_run()
    store.save(3, 2)
    own = {"step-2-copy", "step-1.bak", "step-by-step-notes"}
    for folder in own:
        store.write(f"{RUN}/{folder}/a", "x")

    assert main(["prune", "--yes", *store.place.options]) == 0
    assert store.list_folders() == {"checkpoints.json", name(3), *own}


def test_prune_keeps_checkpoints_of_a_store_that_others_start_from(store: Store) -> None:
    store.put_run()
    store.save(4, 3, 2, 1)
    pinned = {"attempts": [ATTEMPT], "model": {"uri": f"{store.uri}/{name(1)}/model", "step": 1}}
    other = {"uri": f"s3://{store.bucket}/other"}
    store.put_run("pinned", pinned, checkpoint=other, model={"trainingRunRef": {"name": "x"}})
    asked = {"trainingRunRef": {"name": "read-xsum", "checkpoint": "step-3"}}
    store.put_run("asked", {"attempts": [ATTEMPT]}, checkpoint=other, model=asked)

    assert main(["prune", "--yes", *store.place.options]) == 0
    assert store.list_steps() == [4, 3, 1]


def test_delete_with_data_deletes_what_is_in_the_store_and_no_more(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    publish = {"uri": f"s3://{store.bucket}/models/read-xsum", "secretRef": {"name": "bucket"}}
    store.put_run(publish=publish)
    store.save(3)
    store.write("models/read-xsum/config.json", "{}")
    store.write("models/read-xsum-2/config.json", "{}")

    assert main(["delete", "read-xsum", "--data", "--yes", *store.place.options]) == 0

    assert f"2 B  {publish['uri']}" in capsys.readouterr().err
    assert [entry["path"] for entry in obstore.list(store.objects).collect()] == ["models/read-xsum-2/config.json"]
    assert store.place.get("TrainingRun", "read-xsum") is None


def test_delete_with_data_keeps_what_others_have_in_the_store(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.put_run()
    store.put_run("below", {"attempts": [ATTEMPT]}, checkpoint={"uri": f"{store.uri}/below"})
    store.save(3)

    assert main(["delete", "read-xsum", "--data", "--yes", *store.place.options]) == 0

    assert f"is kept  {store.uri} (trainingrun/below uses it)" in capsys.readouterr().err
    assert store.list_steps() == [3]


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_an_object_whose_name_cannot_be_read_blocks_only_folders_around_it(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.put_run()
    store.save(3)
    store.put_run("odd", checkpoint={"uri": f"s3://{store.bucket}/runs/odd"})
    for key in ("runs/%01/a", "runs/odd/%01/a"):
        request = urllib.request.Request(f"{start_moto()}/{store.bucket}/{key}", data=b"x", method="PUT")  # noqa: S310 - loopback
        urllib.request.urlopen(request).close()  # noqa: S310

    assert main(["delete", "odd", "--data", "--yes", *store.place.options]) == 64
    assert "or control characters" in capsys.readouterr().err
    assert main(["delete", "read-xsum", "--data", "--yes", *store.place.options]) == 0


def test_the_page_reads_curves_and_kept_logs_when_the_user_asks(store: Store, tmp_path: Path) -> None:
    store.put_run()
    store.save(3)
    store.write(f"{RUN}/reports/attempt-1-rank-0.log", "step 7\nkilled\n")
    choice = Choice(context="fake") if isinstance(store.place, ClusterPlace) else Choice(runs=str(tmp_path / "runs"))

    with serve_pages(open_resources(choice)) as client:
        assert "training from" not in client.get("/runs/default/read-xsum").text
        client.post("/runs/default/read-xsum/files", headers={"Sec-Fetch-Site": "same-origin"})
        assert "training from 3.5 to 2.5" in client.get("/runs/default/read-xsum").text
        assert "step 7\nkilled" in client.get("/runs/default/read-xsum/logs").text
    with serve_pages(open_resources(choice), may_fetch=False) as client:
        assert "`deepsynth report read-xsum` on your machine" in client.get("/runs/default/read-xsum").text


def test_the_report_has_sample_pages_of_the_store(store: Store, tmp_path: Path) -> None:
    store.put_pages()
    page = tmp_path / "page.html"
    assert main(["report", "xsum", "-o", str(page), *store.place.options]) == 0
    assert "page 2 words words" in page.read_text()
    assert page.read_text().count("data:image/png") == 8


def test_a_store_that_does_not_answer_costs_the_report_its_sample_pages_only(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.put_pages()
    store.use(f"http://127.0.0.1:{find_free_port()}")
    assert main(["report", "-o", str(tmp_path / "page.html"), *store.place.options]) == 0
    said = capsys.readouterr().err
    assert f"datasetgeneration/xsum is shown without sample pages: s3://{store.bucket}/pages could not be read" in said
    assert "cannot be reached" in said


def test_the_page_shows_sample_pages_of_a_store_when_the_user_asks(store: Store, tmp_path: Path) -> None:
    store.put_pages()
    choice = Choice(context="fake") if isinstance(store.place, ClusterPlace) else Choice(runs=str(tmp_path / "runs"))
    with serve_pages(open_resources(choice)) as client:
        assert "Read them" in client.get("/generations/default/xsum").text
        client.post("/generations/default/xsum/files", headers={"Sec-Fetch-Site": "same-origin"})
        assert "page 2 words words" in client.get("/generations/default/xsum").text
        assert client.get("/generations/default/xsum/pages/7.png").content.startswith(b"\x89PNG")
    with serve_pages(open_resources(choice), may_fetch=False) as client:
        text = client.get("/generations/default/xsum").text
        assert "`deepsynth report xsum` on your machine" in text
        assert "Read them" not in text


def test_the_page_says_why_sample_pages_could_not_be_read(store: Store, tmp_path: Path) -> None:
    store.put_pages()
    store.use(f"http://127.0.0.1:{find_free_port()}")
    choice = Choice(context="fake") if isinstance(store.place, ClusterPlace) else Choice(runs=str(tmp_path / "runs"))
    with serve_pages(open_resources(choice)) as client:
        answer = client.post("/generations/default/xsum/files", headers={"Sec-Fetch-Site": "same-origin"})
        assert "cannot be reached" in answer.text
        assert client.get("/generations/default/xsum").status_code == 200


def test_a_dataset_that_is_not_published_has_no_sample_pages(store: Store, tmp_path: Path) -> None:
    store.put_pages("Rendering")
    choice = Choice(context="fake") if isinstance(store.place, ClusterPlace) else Choice(runs=str(tmp_path / "runs"))
    with serve_pages(open_resources(choice)) as client:
        assert "Read them" not in client.get("/generations/default/xsum").text


@pytest.mark.parametrize("place", ["cluster"], indirect=True)
def test_the_pod_has_only_the_secret_of_what_it_reads(store: Store, place: ClusterPlace) -> None:
    template = {
        "env": [{"name": "AWS_REGION", "value": "eu-west-1"}],
        "labels": {"azure.workload.identity/use": "true"},
        "serviceAccountName": "trainer",
    }
    publish = {"uri": "s3://models/read-xsum", "secretRef": {"name": "other"}}
    store.put_run(publish=publish, template=template)

    assert main(["logs", "read-xsum", *place.options]) == 1

    [pod] = [item.body for item in place.cluster.requests if item.method == "POST" and item.path.endswith("/pods")]
    [container] = pod["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "bucket"}}]
    assert container["env"] == template["env"]
    assert pod["spec"]["serviceAccountName"] == "trainer"
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert pod["spec"]["volumes"] == []
    assert place.cluster.list_kind("Pod") == []
