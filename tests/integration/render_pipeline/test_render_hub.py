"""All three steps against a Hub: pinned sources, kills at the worst moments, rate limits in the report."""

import io
import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from integration.render_pipeline.render_steps import Steps, build_rows
from support.free_port import find_free_port
from support.store.hub_server.repository import Blob
from support.store.hub_server.server import HubServer

Build = Callable[..., Steps]

CARD = b"""---
language: en
license: cc-by-4.0
configs:
- config_name: main
  data_files:
  - {split: train, path: main/train-*}
  - {split: test, path: main/test-*}
- config_name: other
  data_files: other/*
---
"""


def to_parquet(rows: list[dict[str, str]], group_rows: int = 10) -> Blob:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=group_rows)
    return Blob(sink.getvalue(), is_lfs=True)


@pytest.fixture
def texts(hub: HubServer) -> str:
    """A private repository of 30 train and 5 test rows; the URI."""
    hub.create_repository("someone/texts", private=True)
    tree = {
        "README.md": Blob(CARD, is_lfs=False),
        "main/train-0.parquet": to_parquet(build_rows(20)),
        "main/train-1.parquet": to_parquet(build_rows(10, 20)),
        "main/test-0.parquet": to_parquet(build_rows(5, 100)),
        "other/x.parquet": to_parquet(build_rows(3, 200)),
    }
    commit(hub, "someone/texts", tree)
    return "hf://datasets/someone/texts"


def commit(hub: HubServer, repo_id: str, tree: dict[str, Blob], branch: str = "main", *, kind: str = "dataset") -> None:
    """Commit exactly these files, as another user would."""
    hub.hub.objects.update({blob.sha256: blob.content for blob in tree.values() if blob.is_lfs})
    repository = hub.repository(repo_id, kind)
    repository._record(branch, repository.refs.get(branch), "another commit", tree)


def read_texts(hub: HubServer) -> dict[str, str]:
    documents: dict[str, str] = {}
    for path, content in sorted(hub.read("someone/pages").items()):
        if path.endswith(".parquet"):
            for row in pq.read_table(io.BytesIO(content)).to_pylist():
                documents[row["document_id"]] = documents.get(row["document_id"], "") + row["text"]
    return documents


EXPECTED = {
    **{f"train-{index}": row["text"] for index, row in enumerate(build_rows(30))},
    **{f"test-{index}": row["text"] for index, row in enumerate(build_rows(5, 100))},
}


def test_from_the_hub_to_the_hub_with_a_kill_in_every_step(build_steps: Build, hub: HubServer, texts: str) -> None:
    steps = build_steps({"uri": texts, "config": "main"}, "hf://datasets/someone/pages", rowsPerShard=20)
    kill_at(hub, steps, "plan", "lfs_put")
    steps.plan()
    assert steps.settings["plan"]["shards"] == 3
    kill_at(hub, steps, "render", "lfs_put", index=1)
    steps.render_all()
    kill_at(hub, steps, "publish", "commit")
    report = steps.succeed("publish").publish
    repository = hub.repository("someone/pages")
    assert read_texts(hub) == EXPECTED
    assert [commit.title.split()[0] for commit in repository.history()].count("Publish") == 1
    assert list(repository.refs) == ["main"]
    assert report is not None
    assert (report.rows, report.revision) == (35, repository.find("main").sha)
    manifest = json.loads(hub.read("someone/pages")["deepsynth/manifest.json"])
    assert manifest["source"]["revision"] == hub.repository("someone/texts").find("main").sha
    assert b"license: cc-by-4.0" in hub.read("someone/pages")["README.md"]
    assert repository.private


def kill_at(hub: HubServer, steps: Steps, step: str, route: str, index: int | None = None) -> None:
    """Start a step and end it with SIGKILL as soon as it has sent a request to `route`."""
    steps.prepare(step, index)
    before = hub.count(route)
    with subprocess.Popen(steps.build_command(step), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while hub.count(route) == before and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        _, errors = process.communicate()
    assert hub.count(route) > before, errors


def test_a_commit_to_the_source_after_planning_is_not_seen(build_steps: Build, hub: HubServer, texts: str) -> None:
    steps = build_steps({"uri": texts, "config": "main"}, "hf://datasets/someone/pages")
    steps.plan()
    tree = hub.repository("someone/texts").find("main").tree
    commit(hub, "someone/texts", {**tree, "main/train-0.parquet": to_parquet(build_rows(20, 500))})
    steps.render_all()
    steps.succeed("publish")
    assert read_texts(hub) == EXPECTED


def test_a_script_is_read_in_its_converted_form(build_steps: Build, hub: HubServer) -> None:
    hub.create_repository("someone/script")
    commit(hub, "someone/script", {"script.py": Blob(b"import datasets", is_lfs=False)})
    converted = {
        "fr/train/0000.parquet": to_parquet(build_rows(3)),
        "de/train/0000.parquet": to_parquet(build_rows(1, 9)),
    }
    commit(hub, "someone/script", converted, "refs/convert/parquet")
    steps = build_steps({"uri": "hf://datasets/someone/script", "config": "fr"}, "hf://datasets/someone/pages")
    steps.run_all()
    assert set(read_texts(hub)) == {"train-0", "train-1", "train-2"}


def test_a_failed_upload_loses_nothing_when_the_step_runs_again(
    build_steps: Build, hub: HubServer, texts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = build_steps({"uri": texts, "config": "main"}, "hf://datasets/someone/pages")
    steps.plan()
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.fail_next("commit", "unavailable", times=1000)
    steps.fail("render", 75, 0)
    hub.faults.clear()
    steps.render_all()
    steps.succeed("publish")
    assert read_texts(hub) == EXPECTED


@pytest.mark.parametrize("step", ["plan", "render"])
def test_waiting_for_a_rate_limit_is_shown_in_the_report(
    build_steps: Build, hub: HubServer, texts: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    steps = build_steps({"uri": texts, "config": "main"}, "hf://datasets/someone/pages")
    if step == "render":
        steps.plan()
    port, seen = find_free_port(), []

    def look(_: float) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/report", timeout=600) as answer:
            seen.append(json.load(answer)[step]["waiting"])

    monkeypatch.setenv("DEEPSYNTH_REPORT_ADDRESS", f"127.0.0.1:{port}")
    monkeypatch.setattr("deepsynth_store.core.calls.time.sleep", look)
    hub.faults.seconds = 100
    hub.fail_next("commit", "throttle")
    report = steps.succeed(step, 0)
    left = re.fullmatch(r"the Hub's rate limit is reached, for another (\d+) s", seen[0])
    assert left is not None
    assert 0 < int(left[1]) <= 102
    assert getattr(report, step).waiting == ""


def test_a_plan_without_the_right_to_write_its_target_is_refused(
    build_steps: Build, hub: HubServer, texts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.read_token)
    message = build_steps({"uri": texts, "config": "main"}, "hf://datasets/someone/pages").fail("plan", 64)
    assert "HF_TOKEN" in message
