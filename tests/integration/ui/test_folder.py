"""The pages of a folder of this machine, as a browser asks for them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from deepsynth_local.local_resources import LocalResources
from deepsynth_local.runs.event_log import write_event
from deepsynth_local.runs.resource_store import ResourceStore
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_simulator.memory_cluster import RecordedEvent
from deepsynth_simulator.object_store import ObjectKey
from deepsynth_ui.log_page import build_log_page
from deepsynth_ui.results import ResultFiles
from integration.ui.served_pages import serve_pages
from support.html_page import HOSTILE, Collector
from support.resources.builders import a_dataset_generation, a_training_run
from support.tenants.swapped_files import swap_before_open

PNG = b"\x89PNG\r\n\x1a\n"
TIME = "2026-01-02T03:05:00Z"
ATTEMPT = {"number": 1, "startTime": "2026-01-02T03:01:00Z", "job": "read-xsum-1", "nodes": 2}
FAILED = {"outcome": "Failed", "endTime": TIME, "reason": "WorkerKilled", "rank": 1, "exitCode": 137, "message": "OOM"}
SUMMARY = {"progress": "42%", "step": "1260/3000", "loss": "1.83", "eta": "2h5m"}


@pytest.fixture
def runs(tmp_path: Path) -> RunsFolder:
    return RunsFolder.open(tmp_path / "runs")


@pytest.fixture
def client(runs: RunsFolder) -> Iterator[TestClient]:
    """Of the resources that are stored before the first request of a test."""
    resources = LocalResources(runs)
    clients: list[Any] = []

    class Lazy:
        def __getattr__(self, name: str) -> Any:
            if not clients:
                clients.append(serve_pages(resources))
                clients.append(clients[0].__enter__())
            return getattr(clients[1], name)

    lazy: Any = Lazy()
    yield lazy
    if clients:
        clients[0].__exit__(None, None, None)


def put_run(runs: RunsFolder, name: str = "read-xsum", namespace: str = "default", **status: Any) -> None:
    usual = {"state": "Running", "summary": SUMMARY, "progress": {"percentage": 42}, "attempts": [ATTEMPT]}
    builder = a_training_run(name).named(name, namespace, uid=f"uid-{namespace}-{name}")
    ResourceStore(runs).save(builder.with_status(**{**usual, **status}).to_manifest())


def put_generation(runs: RunsFolder, name: str = "xsum", **status: Any) -> None:
    job = {"step": "render", "name": f"{name}-render-1", "startTime": "2026-01-02T03:01:00Z"}
    usual = {"state": "Rendering", "jobs": [job]}
    ResourceStore(runs).save(a_dataset_generation(name).with_status(**{**usual, **status}).to_manifest())


def write_curve(runs: RunsFolder, name: str = "read-xsum", claim: str = "checkpoints") -> Path:
    folder = runs.volumes / claim / name
    (folder / "step-1200").mkdir(parents=True)
    lines = [{"step": step, "loss": 9 - step / 200, "samples_per_second": 7.5} for step in range(100, 1300, 100)]
    (folder / "step-1200/metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def write_sample(folder: Path, *, page: str = "0-0.png", text: str = "read text") -> None:
    (folder / "samples/pages").mkdir(parents=True)
    (folder / "samples/pages/0-0.png").write_bytes(PNG + b"sample")
    entry = {"name": "row 3", "pages": [page], "reference": "true text", "written": text, "cer": 0.25}
    (folder / "samples/step-1200.json").write_text(json.dumps({"step": 1200, "samples": [entry]}))


def read(client: TestClient, path: str) -> Collector:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return Collector(answer.text)


def test_the_list_shows_what_needs_attention_first(runs: RunsFolder, client: TestClient) -> None:
    put_run(runs, "a-complete", state="Complete")
    put_run(runs, "b-running")
    condition = {
        "type": "Failed",
        "status": "True",
        "reason": "X",
        "message": "loss is NaN",
        "lastTransitionTime": TIME,
    }
    put_run(runs, "c-failed", state="Failed", conditions=[condition])
    put_run(runs, "d-blocked", state="Starting", attempts=[{**ATTEMPT, "obstacle": "ImagePullBackOff: no such image"}])
    put_generation(runs, "e-rendering")
    put_run(runs, "f-failed-long-ago", state="Failed", conditions=[condition], completionTime=TIME)

    page = read(client, "/")

    links = [
        address.rpartition("/")[2] for address in page.addresses if address.startswith(("./runs/", "./generations/"))
    ]
    assert set(links[:2]) == {"c-failed", "d-blocked"}
    assert set(links[2:4]) == {"b-running", "e-rendering"}
    assert set(links[4:]) == {"a-complete", "f-failed-long-ago"}
    for expected in ("loss is NaN", "ImagePullBackOff: no such image", "step 1260/3000, loss 1.83, 2h5m left", "42%"):
        assert expected in page.text


def test_filters_order_and_page_are_in_the_address(runs: RunsFolder, client: TestClient) -> None:
    for number in range(120):
        put_run(runs, f"run-{number:03}", state="Complete" if number % 2 else "Running")

    first = read(client, "/?state=Complete&sort=name&q=run-")
    second = read(client, "/?state=Complete&sort=name&q=run-&page=2")

    assert "60 in all, page 1 of 2" in first.text
    assert "run-001" in first.text
    assert "run-000" not in first.text
    assert "?state=Complete&q=run-&sort=name&page=2" in first.addresses
    assert "run-119" in second.text
    assert "run-001" not in second.text


@pytest.mark.parametrize("query", ["page=0", "page=x", "page=99999999999999", "sort=size", "kind=pods"])
def test_an_address_that_no_link_makes_is_refused_with_what_is_valid(client: TestClient, query: str) -> None:
    answer = client.get(f"/?{query}")

    assert answer.status_code == 400
    assert "must be" in Collector(answer.text).text


def test_a_run_has_curves_attempts_samples_events_and_its_spec(runs: RunsFolder, client: TestClient) -> None:
    saved = {"step": 1200, "uri": "pvc://checkpoints/read-xsum/step-1200", "time": TIME, "bytes": 3_000_000}
    attempts = [{**ATTEMPT, **FAILED}, {**ATTEMPT, "number": 2, "startTime": TIME}]
    usage = {"gpuSeconds": 240, "cost": {"currency": "USD", "amount": "12.58", "lost": "0.5"}}
    put_run(runs, attempts=attempts, checkpoints=[saved], usage=usage)
    write_sample(write_curve(runs))
    event = RecordedEvent(
        datetime.now(UTC), ObjectKey("TrainingRun", "default", "read-xsum"), "Normal", "AttemptStarted", "number 2"
    )
    write_event(runs, event)

    answer = client.get("/runs/default/read-xsum")
    page = Collector(answer.text)

    assert "training from 8.5 to" in answer.text
    assert "Attempts and checkpoints: 1: Failed after 4m (WorkerKilled: OOM)" in answer.text
    for expected in ("samples/s", "3 MB", "AttemptStarted", "true text", "read text", "config://deepseek-ocr2-tiny"):
        assert expected in page.text
    assert "12.58 USD, 0.5 lost" in page.text
    image = next(address for address in page.addresses if ".png" in address)
    assert image.startswith("../../runs/default/read-xsum/samples/0/0.png?v=")
    loaded = client.get(f"/runs/default/read-xsum/{image.partition('read-xsum/')[2]}")
    assert (loaded.content, loaded.headers["content-type"]) == (PNG + b"sample", "image/png")


def test_a_generation_has_shards_dropped_rows_and_pages_that_load_when_they_are_seen(
    runs: RunsFolder, client: TestClient
) -> None:
    output = {
        "uri": "pvc://data/xsum",
        "revision": "a" * 40,
        "rows": 20,
        "pages": 20,
        "bytes": 1,
        "manifestSha256": "x",
    }
    progress = {
        "shardsDone": 7,
        "shardsTotal": 8,
        "failedIndexes": "3",
        "dropped": [{"reason": "Duplicate", "rows": 3}],
    }
    put_generation(runs, state="Complete", output=output, progress=progress)
    (runs.volumes / "data/xsum/data").mkdir(parents=True)
    image = {"bytes": PNG + b"page", "path": None}
    rows = [{"image": image, "text": f"text {n}", "summary": "short", "page": 0, "num_pages": 1} for n in range(20)]
    pq.write_table(pa.Table.from_pylist(rows), runs.volumes / "data/xsum/data/train-00000.parquet")

    page = read(client, "/generations/default/xsum")

    for expected in ("7 of 8", "Shards that failed", "Duplicate", "Summary: short", "xsum-render-1"):
        assert expected in page.text
    images = [address for address in page.addresses if ".png" in address]
    assert len(images) == 8
    assert client.get("/generations/default/xsum/pages/7.png").content == PNG + b"page"
    assert client.get("/generations/default/xsum/pages/8.png").status_code == 404
    assert "another publication" not in read(client, "/generations/default/xsum").text
    (runs.volumes / "data/xsum/deepsynth").mkdir()
    (runs.volumes / "data/xsum/deepsynth/manifest.json").write_text("{}")
    assert "another publication by now" in read(client, "/generations/default/xsum").text


def test_runs_are_compared_next_to_each_other(runs: RunsFolder, client: TestClient) -> None:
    for name in ("first", "second"):
        put_run(runs, name)
        write_curve(runs, name)

    answer = client.get("/compare?run=default/first&run=second")
    page = Collector(answer.text)

    assert "Training loss: first from 8.5 to" in answer.text
    assert "checkpoint.uri" in page.text
    assert client.get("/compare?run=first").status_code == 400
    assert client.get("/compare?run=first&run=absent").status_code == 404
    assert client.get("/compare?run=first&run=a/b/c").status_code == 400


def test_values_that_no_curve_can_show_are_counted_on_the_pages(runs: RunsFolder, client: TestClient) -> None:
    for name in ("first", "second"):
        put_run(runs, name)
        metrics = write_curve(runs, name) / "step-1200/metrics.jsonl"
    with metrics.open("a") as file:
        file.write('\n{"step": 1300, "loss": NaN}\n{"step": 1400, "loss": 1e301}\nhalf of a li')

    assert "2 values of loss not shown" in read(client, "/runs/default/second").text
    assert "1 damaged line not shown" in read(client, "/runs/default/second").text
    assert "not shown" not in read(client, "/runs/default/first").text
    compared = read(client, "/compare?run=default/first&run=second").text
    assert "values not in the curves" in compared
    assert "damaged lines of metrics" in compared


def test_a_log_is_read_from_its_pod_and_later_from_the_file_that_is_kept(runs: RunsFolder, client: TestClient) -> None:
    put_run(runs, attempts=[{**ATTEMPT, **FAILED}])
    runs.log_file("read-xsum-1-1-x").write_text("".join(f"rank 1: line {number}\n" for number in range(2000)))

    page = read(client, "/runs/default/read-xsum/logs")

    assert "line 1999" in page.text
    assert "line 1500\n" in page.text
    assert "line 1499" not in page.text, "only the end"
    runs.log_file("read-xsum-1-1-x").unlink()
    assert "the pod is gone" in read(client, "/runs/default/read-xsum/logs").text
    folder = write_curve(runs)
    (folder / "reports").mkdir()
    (folder / "reports/attempt-1-rank-1.log").write_text("kept <b>line</b>\n")
    assert "kept <b>line</b>" in read(client, "/runs/default/read-xsum/logs?attempt=1&rank=1").text
    assert client.get("/runs/default/read-xsum/logs?attempt=2").status_code == 404
    assert client.get("/runs/default/read-xsum/logs?rank=-1").status_code == 400


def test_untrusted_text_stays_text_on_all_pages(runs: RunsFolder, client: TestClient) -> None:
    condition = {"type": "Failed", "status": "True", "reason": HOSTILE, "message": HOSTILE, "lastTransitionTime": TIME}
    attempt = {**ATTEMPT, "reason": HOSTILE, "message": HOSTILE, "obstacle": HOSTILE}
    summary = {"step": HOSTILE, "loss": HOSTILE}
    put_run(runs, state="Failed", conditions=[condition], attempts=[attempt], summary=summary, notes=[HOSTILE])
    write_sample(write_curve(runs), text=HOSTILE)
    runs.log_file("read-xsum-1-0-x").write_text(HOSTILE)

    for path in ("/", "/runs/default/read-xsum", "/runs/default/read-xsum/logs", f"/?state={HOSTILE}&q={HOSTILE}"):
        page = read(client, path)
        assert page.tags.isdisjoint({"iframe", "object", "style"})
        assert page.addresses.count("javascript:alert(3)") == 0
        assert [address for address in page.addresses if "alert" in address and not address.startswith("?")] == []
        assert not [name for name in page.attributes if name.startswith("on") or name == "style"]
        assert HOSTILE.split()[0] in page.text or "q=" in path
    missing = client.get(f"/runs/default/{HOSTILE.replace('/', '')}")
    assert missing.status_code == 404
    assert "script" not in Collector(missing.text).tags - {"script"}


def test_every_answer_has_a_strict_policy_and_pages_have_no_inline_script_or_style(
    runs: RunsFolder, client: TestClient
) -> None:
    put_run(runs)

    for path in ("/", "/runs/default/read-xsum", "/runs/default/absent", "/static/ui.css", "/healthz"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        if "text/html" in answer.headers["content-type"]:
            assert "<style" not in answer.text
            assert answer.text.count("<script") == answer.text.count('<script src="') == 1


def test_what_a_page_loads_exists_below_any_prefix(runs: RunsFolder, client: TestClient) -> None:
    put_run(runs)

    for path in ("/", "/runs/default/read-xsum", "/runs/default/read-xsum/logs"):
        loaded = [address for address in read(client, path).addresses if "static/" in address]
        assert len(loaded) == 4
        assert not [address for address in loaded if address.startswith("/")]
        for address in loaded:
            assert client.get(str(client.get(path).url.join(address))).status_code == 200
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2f..%2fguard.py",
        "/static/%2e%2e/app.py",
        "/runs/..%2f..%2fetc/passwd",
        "/runs/default/..%2fread-xsum",
        "/runs/%2e%2e/%2e%2e/logs",
        "/pods/default/read-xsum",
        "/runs/default/read-xsum/pages/0.png",
        "/runs/default/read-xsum/samples/0/..%2f0.png",
    ],
)
def test_nothing_is_found_outside_of_what_the_pages_are_about(runs: RunsFolder, client: TestClient, path: str) -> None:
    put_run(runs)

    assert client.get(path).status_code == 404


def test_a_link_in_a_run_s_folder_does_not_lead_out_of_it(runs: RunsFolder, client: TestClient, tmp_path: Path) -> None:
    put_run(runs, attempts=[{**ATTEMPT, **FAILED}])
    secret = tmp_path / "token"
    secret.write_bytes(PNG + b"secret")
    folder = write_curve(runs)
    write_sample(folder, page="leak.png")
    (folder / "samples/pages/leak.png").symlink_to(secret)
    (folder / "reports").mkdir()
    (folder / "reports/attempt-1-rank-1.log").symlink_to(secret)

    assert client.get("/runs/default/read-xsum/samples/0/0.png").status_code == 404
    assert "secret" not in client.get("/runs/default/read-xsum/logs?rank=1").text
    assert "secret" not in client.get("/runs/default/read-xsum").text


def test_a_log_that_becomes_a_link_while_it_is_read_does_not_lead_out(runs: RunsFolder, tmp_path: Path) -> None:
    put_run(runs, attempts=[{**ATTEMPT, **FAILED}])
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/attempt-1-rank-1.log").write_text("secret")
    reports = write_curve(runs) / "reports"
    reports.mkdir()
    (reports / "attempt-1-rank-1.log").write_text("own line")
    resources = LocalResources(runs)
    found = resources.read("TrainingRun", "read-xsum")
    shown: set[tuple[str, ...]] = set()

    def swap() -> None:
        reports.rename(reports.with_name("moved"))
        reports.symlink_to(tmp_path / "secrets")

    for number in range(30):
        with swap_before_open(number, swap) as swapped:
            page = build_log_page(resources, found, ResultFiles(resources, may_fetch=False), {})
        shown.add(tuple(page.lines))
        if swapped.is_done:
            reports.unlink()
            reports.with_name("moved").rename(reports)

    assert shown == {("own line",), ()}


def test_a_name_that_leads_to_this_machine_by_a_foreign_domain_is_refused(client: TestClient) -> None:
    for host in ("evil.example", "evil.example:8475", "127.0.0.1.evil.example", ""):
        assert client.get("/", headers={"Host": host}).status_code == 421
    for host in ("localhost:1", "127.0.0.1", "[::1]:8475"):
        assert client.get("/", headers={"Host": host}).status_code == 200
    for path in ("/healthz", "/readyz"):  # probes ask for the pod's address
        assert client.get(path, headers={"Host": "10.0.0.7:8475"}).status_code == 200


def test_samples_that_cannot_be_read_are_reported_on_the_page(runs: RunsFolder, client: TestClient) -> None:
    put_run(runs, attempts=[ATTEMPT])
    folder = write_curve(runs)
    write_sample(folder)
    assert "cannot be read" not in client.get("/runs/default/read-xsum").text
    for file in folder.glob("samples/step-*.json"):
        file.write_text("[" * 100_000)
    assert "cannot be read: their file is damaged or too large" in client.get("/runs/default/read-xsum").text


def test_numbers_of_thousands_of_digits_are_wrong_addresses(runs: RunsFolder, client: TestClient) -> None:
    put_run(runs)
    many = "1" * 5000
    assert client.get("/", params={"page": many}).status_code == 400
    for path in (f"samples/{many}/0.png", f"samples/0/{many}.png", f"pages/{many}.png"):
        assert client.get(f"/runs/default/read-xsum/{path}").status_code == 404


def test_the_pages_change_nothing(runs: RunsFolder, client: TestClient) -> None:
    put_run(runs)

    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/", "/runs/default/read-xsum"):
            assert client.request(method, path, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 405
        assert client.request(method, "/runs/default/read-xsum/files").status_code == 403, "a form of another site"


def test_probes_answer_whether_the_resources_are_listed(client: TestClient) -> None:
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").status_code == 200


def test_a_damaged_file_is_named_on_the_page_and_does_not_end_it(runs: RunsFolder, client: TestClient) -> None:
    (runs.path / "trainingruns").mkdir()
    (runs.path / "trainingruns/broken.yaml").write_text("{")

    page = read(client, "/")

    assert "broken.yaml: is damaged; delete the file" in page.text
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_namespaces_are_kept_apart(runs: RunsFolder, client: TestClient) -> None:
    put_run(runs, "same", "team-a", summary={"step": "1/9"})
    put_run(runs, "same", "team-b", summary={"step": "2/9"})

    assert "step 1/9" in read(client, "/runs/team-a/same").text
    assert "step 2/9" in read(client, "/runs/team-b/same").text
    assert client.get("/runs/default/same").status_code == 404
    assert "step 1/9" not in read(client, "/?namespace=team-b").text


def test_ages_are_those_of_kubectl(runs: RunsFolder, client: TestClient) -> None:
    created = datetime.now(UTC) - timedelta(hours=30)
    run = a_training_run().with_metadata(creationTimestamp=f"{created:%Y-%m-%dT%H:%M:%SZ}")
    ResourceStore(runs).save(run.to_manifest())

    assert "30h" in read(client, "/").text
