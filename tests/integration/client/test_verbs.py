"""Every verb on both places: a command prints the same, whether the resources are in a cluster or in a folder."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deepsynth.__main__ import main
from deepsynth.verbs.names import find_all
from deepsynth_local.runs.runs_folder import RunsFolder
from integration.client.places import FolderPlace, Place, place, write_files
from support.resources.builders import a_dataset_generation, a_training_run

__all__ = ["place"]

SUMMARY = {"progress": "42%", "step": "1260/3000", "loss": "1.83", "checkpoint": "1200"}
ATTEMPT = {"number": 1, "startTime": "2026-01-02T03:01:00Z", "job": "read-xsum-1", "image": "gpu:1"}
FAILED = {"outcome": "Failed", "endTime": "2026-01-02T03:05:00Z", "reason": "WorkerKilled", "rank": 1, "exitCode": 137}
CHECKPOINT = {
    "step": 1200,
    "uri": "pvc://checkpoints/read-xsum/step-1200",
    "time": "2026-01-02T03:04:00Z",
    "bytes": 3_000_000,
}


def a_running_run(name: str = "read-xsum", **status: Any) -> dict[str, Any]:
    usual = {"state": "Running", "observedGeneration": 1, "restarts": 0, "summary": SUMMARY, "attempts": [ATTEMPT]}
    return a_training_run(name).with_status(**{**usual, **status}).to_manifest()


def a_condition(kind: str, reason: str, message: str) -> dict[str, Any]:
    time = "2026-01-02T03:06:00Z"
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": time}


class Screen:
    """What a command prints, in place of `print`. A line that contains the text of the next step triggers it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._steps: list[tuple[str, Callable[[], None]]] = []

    def after(self, text: str, step: Callable[[], None]) -> "Screen":
        self._steps.append((text, step))
        return self

    def __call__(self, line: str = "", **_: Any) -> None:
        self.lines.append(line)
        if self._steps and self._steps[0][0] in line:
            self._steps.pop(0)[1]()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    monkeypatch.setattr("builtins.print", screen)
    return screen


def interrupt() -> None:
    raise KeyboardInterrupt


def test_get_shows_the_columns_of_kubectl(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.put(a_running_run())

    assert main(["get", "trun", *place.options]) == 0

    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "STATE", "PROGRESS", "STEP", "LOSS", "ETA", "CHECKPOINT", "RESTARTS", "AGE"]
    assert row.split()[:5] == ["read-xsum", "Running", "42%", "1260/3000", "1.83"]


def test_the_place_is_named_on_stderr(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", *place.options]) == 0

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0].startswith(("context fake, namespace default", "folder /"))


def test_get_prints_names_yaml_and_json(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.put(a_running_run())
    place.put(a_dataset_generation().to_manifest())

    assert main(["get", "all", "-o", "name", *place.options]) == 0
    names = capsys.readouterr().out.split()
    assert names == ["datasetgeneration.deepsynth.io/xsum", "trainingrun.deepsynth.io/read-xsum"]
    assert main(["get", "trun/read-xsum", "-o", "yaml", *place.options]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["status"]["state"] == "Running"
    assert main(["get", "trun", "-o", "json", *place.options]) == 0
    assert [item["metadata"]["name"] for item in json.loads(capsys.readouterr().out)["items"]] == ["read-xsum"]


def test_selectors_choose_resources(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    for name, team in (("a", "vision"), ("b", "speech"), ("c", "vision")):
        run = a_training_run(name).labelled({"team": team}).named(name, uid=f"uid-{name}")
        place.put(run.labelled({"team": team}).with_status(state="Running" if name == "a" else "Failed").to_manifest())

    assert main(["get", "trun", "-o", "name", "-l", "team in (vision)", *place.options]) == 0
    assert [line[-1] for line in capsys.readouterr().out.split()] == ["a", "c"]
    assert main(["get", "trun", "-o", "name", "--field-selector", "status.state=Running", *place.options]) == 0
    assert [line[-1] for line in capsys.readouterr().out.split()] == ["a"]


def test_a_missing_resource_is_an_error_with_code_1(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "trun", "zebra", *place.options]) == 1
    assert 'trainingruns.deepsynth.io "zebra" not found' in capsys.readouterr().err
    assert main(["describe", "zebra", *place.options]) == 1
    assert 'no resource is named "zebra"' in capsys.readouterr().err


def test_get_w_shows_a_row_for_each_change_until_it_is_interrupted(place: Place, screen: Screen) -> None:
    place.put(a_running_run())
    screen.after("Running", lambda: place.put(a_running_run(state="Complete"))).after("Complete", interrupt)

    assert main(["get", "trun", "-w", *place.options]) == 130

    rows = [line.split()[:2] for line in screen.lines[1:]]
    assert rows == [["NAME", "STATE"], ["read-xsum", "Running"], ["read-xsum", "Complete"]]


def write_resources(folder: Path, *resources: Any) -> str:
    file = folder / "resources.yaml"
    for resource in resources:
        resource["metadata"] = {"name": resource["metadata"]["name"]}
        resource.pop("status")
    file.write_text("---\n".join(yaml.safe_dump(resource) for resource in resources))
    return str(file)


def test_apply_creates_changes_and_leaves(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_resources(tmp_path, a_dataset_generation().to_manifest(), a_training_run().to_manifest())

    assert main(["apply", "-f", file, *place.options]) == 0
    assert capsys.readouterr().out == "datasetgeneration/xsum created\ntrainingrun/read-xsum created\n"
    assert place.get("TrainingRun", "read-xsum") is not None
    assert main(["apply", "-f", file, *place.options]) == 0
    assert "trainingrun/read-xsum unchanged" in capsys.readouterr().out
    write_resources(tmp_path, a_training_run().with_spec(backoffLimit=5).to_manifest())
    assert main(["apply", "-f", str(tmp_path), *place.options]) == 0
    assert capsys.readouterr().out == "trainingrun/read-xsum configured\n"
    stored = place.get("TrainingRun", "read-xsum")
    assert stored is not None
    assert stored["spec"]["backoffLimit"] == 5


def test_apply_refuses_resources_of_others(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "claim.yaml"
    file.write_text("apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a}\n")

    assert main(["apply", "-f", str(file), *place.options]) == 64
    assert f"{file}:2: kind 'PersistentVolumeClaim' of 'v1' is not DeepSynth's" in capsys.readouterr().err


def test_suspend_and_resume_change_the_spec(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.put(a_running_run())

    assert main(["suspend", "trun/read-xsum", *place.options]) == 0
    assert (place.get("TrainingRun", "read-xsum") or {})["spec"]["suspend"] is True
    assert main(["resume", "read-xsum", *place.options]) == 0
    assert (place.get("TrainingRun", "read-xsum") or {})["spec"]["suspend"] is False
    assert "trainingrun/read-xsum resumed" in capsys.readouterr().out


def test_suspend_and_resume_say_that_a_run_has_ended(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    ended = a_running_run(state="Complete", completionTime="2026-01-02T04:00:00Z")
    effects = {"suspend": "if you continue it, it starts suspended", "resume": "to continue a run, raise spec.maxSteps"}
    for verb, effect in effects.items():
        place.put(ended)
        assert main([verb, "trun/read-xsum", *place.options]) == 0
        assert f"trainingrun/read-xsum has already ended (Complete); {effect}" in capsys.readouterr().out


def test_delete_keeps_the_data(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.put(a_running_run())
    write_files(place.volumes, {"checkpoints/read-xsum/step-1/state.json": "{}"})

    assert main(["delete", "trun", "read-xsum", *place.options]) == 0
    assert "its data is kept: pvc://checkpoints/read-xsum" in capsys.readouterr().out
    assert place.get("TrainingRun", "read-xsum") is None
    assert (place.volumes / "checkpoints/read-xsum/step-1/state.json").exists()


def test_delete_with_data_shows_the_bytes_and_removes_them(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.put(a_running_run(state="Complete", completionTime="2026-01-02T04:00:00Z"))
    write_files(place.volumes, {"checkpoints/read-xsum/step-1/a": "x" * 1500, "checkpoints/other/a": "y"})

    assert main(["delete", "read-xsum", "--data", *place.options]) == 64  # nobody can answer
    assert place.get("TrainingRun", "read-xsum") is not None
    assert main(["delete", "read-xsum", "--data", "--yes", *place.options]) == 0

    said = capsys.readouterr()
    assert "1.5 kB  pvc://checkpoints/read-xsum" in said.err
    assert "deleted, with 1.5 kB of data" in said.out
    assert place.get("TrainingRun", "read-xsum") is None
    assert not (place.volumes / "checkpoints/read-xsum").exists()
    assert (place.volumes / "checkpoints/other/a").exists()


def test_the_data_of_a_running_run_is_not_deleted(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.put(a_running_run())
    write_files(place.volumes, {"checkpoints/read-xsum/a": "x"})

    assert main(["delete", "read-xsum", "--data", "--yes", *place.options]) == 64
    assert "is Running, so its data is in use" in capsys.readouterr().err
    assert (place.volumes / "checkpoints/read-xsum/a").exists()


@pytest.mark.parametrize(("state", "code"), [("Complete", 0), ("Failed", 1)])
def test_wait_returns_how_a_run_ended(place: Place, state: str, code: int, screen: Screen) -> None:
    place.put(a_running_run())
    conditions = [a_condition(state, "X", "because")]
    ended = a_running_run(state=state, completionTime="2026-01-02T04:00:00Z", conditions=conditions)
    screen.after("Running", lambda: place.put(ended))

    assert main(["wait", "read-xsum", *place.options]) == code

    assert screen.lines[1].startswith("trainingrun/read-xsum: Running, 42%, step 1260/3000")
    assert screen.lines[-1] == f"trainingrun/read-xsum is {state}: because"


def test_wait_ends_when_its_time_is_over(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.put(a_running_run())

    assert main(["wait", "read-xsum", "--timeout", "1s", *place.options]) == 124
    assert "timed out: Running, 42%" in capsys.readouterr().err


def test_wait_can_wait_for_a_state(place: Place, screen: Screen) -> None:
    place.put(a_running_run())
    screen.after("Running", lambda: place.put(a_running_run(state="Suspended")))

    assert main(["wait", "read-xsum", "--for", "state=suspended", *place.options]) == 0


def test_wait_for_a_state_does_not_wait_for_a_run_that_has_ended(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    conditions = [a_condition("Complete", "Succeeded", "because")]
    place.put(a_running_run(state="Complete", completionTime="2026-01-02T04:00:00Z", conditions=conditions))

    assert main(["wait", "read-xsum", "--for", "state=suspended", *place.options]) == 1
    assert "trainingrun/read-xsum is Complete: because; what you wait for" in capsys.readouterr().err
    assert main(["wait", "read-xsum", "--for", "condition=Complete", *place.options]) == 0


def test_wait_for_a_resource_that_is_deleted_fails(place: Place, screen: Screen) -> None:
    place.put(a_running_run())
    screen.after("Running", lambda: place.delete("TrainingRun", "read-xsum"))

    assert main(["wait", "read-xsum", *place.options]) == 1
    assert screen.lines[-1] == "error: trainingrun/read-xsum was deleted"


@pytest.mark.parametrize(("goal", "code"), [("end", 1), ("delete", 0)])
def test_a_resource_that_is_deleted_before_the_watch_begins_is_noticed(
    place: Place, goal: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put(a_running_run())

    def find_and_delete(*arguments: Any) -> Any:
        try:
            return find_all(*arguments)
        finally:
            place.delete("TrainingRun", "read-xsum")

    monkeypatch.setattr("deepsynth.verbs.waiting.find_all", find_and_delete)
    assert main(["wait", "read-xsum", "--for", goal, *place.options]) == code


def test_describe_shows_attempts_checkpoints_events_and_what_to_do(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "rank 1 was killed by SIGKILL"
    run = a_running_run(
        state="Failed",
        attempts=[{**ATTEMPT, **FAILED, "message": message}],
        checkpoints=[CHECKPOINT],
        conditions=[a_condition("Failed", "BackoffLimitExceeded", message)],
    )
    place.put(run)
    place.record_event(run, "AttemptFailed", "attempt 1 failed")

    assert main(["describe", "trun/read-xsum", *place.options]) == 0

    text = capsys.readouterr().out
    for part in (f"Failed: {message}", "WorkerKilled", "137", "1200", "3 MB", "AttemptFailed", "attempt 1 failed"):
        assert part in text
    options = " ".join(place.options)
    assert f"`deepsynth logs trainingrun/read-xsum {options}` shows the process that failed first" in " ".join(
        text.split()
    )


def test_describe_proposes_the_remedy_of_what_keeps_pods_from_starting_first(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    condition = {**a_condition("Complete", "ImagePullBackOff", "pod a: not found"), "status": "False"}
    place.put(a_running_run(state="Starting", conditions=[condition]))

    assert main(["describe", "trun/read-xsum", *place.options]) == 0

    proposals = capsys.readouterr().out.partition("Next:\n")[2]
    assert proposals.startswith("  - ImagePullBackOff: Push the image, or fix its name or the pull Secret.\n")


def test_a_resource_that_nobody_has_seen_is_explained(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.put(a_training_run().with_status(observedGeneration=-1).to_manifest())

    assert main(["describe", "read-xsum", *place.options]) == 0
    text = " ".join(capsys.readouterr().out.split())  # lines break where the folder's name is long
    assert "no operator has seen it; is one running?" in text or "has not come to it yet" in text


def test_logs_show_the_rank_that_failed_first(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.put(a_running_run(attempts=[{**ATTEMPT, **FAILED}]))
    place.write_log("read-xsum-1", 0, "rank 0 is fine")
    place.write_log("read-xsum-1", 1, "step 1", "killed")

    assert main(["logs", "read-xsum", *place.options]) == 0
    said = capsys.readouterr()
    assert said.out == "step 1\nkilled\n"
    assert "attempt 1, rank 1, pod read-xsum-1-1-x" in said.err
    assert main(["logs", "read-xsum", "--rank", "0", *place.options]) == 0
    assert capsys.readouterr().out == "rank 0 is fine\n"


def test_logs_of_a_pod_with_several_ranks_show_one_of_them(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_training_run().with_spec(numProcPerNode=2)
    place.put(run.with_status(state="Running", attempts=[ATTEMPT]).to_manifest())
    place.write_log("read-xsum-1", 1, "launcher: starts", "rank 2: two", "rank 3: three")

    assert main(["logs", "read-xsum", "--rank", "3", *place.options]) == 0
    assert capsys.readouterr().out == "launcher: starts\nthree\n"


def test_logs_show_the_chosen_rank_where_logs_are_json(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_training_run().with_spec(numProcPerNode=2)
    place.put(run.with_status(state="Running", attempts=[ATTEMPT]).to_manifest())
    head = '{"time": "2026-01-02T03:04:05.678Z", '
    lines = [f'{head}"message": "m"}}', f'{head}"rank": 2, "message": "m"}}', f'{head}"rank": 3, "message": "m"}}']
    place.write_log("read-xsum-1", 1, *lines)

    assert main(["logs", "read-xsum", "--rank", "3", *place.options]) == 0
    assert capsys.readouterr().out.splitlines() == [lines[0], lines[2]]


def test_logs_after_the_pod_is_gone_come_from_the_checkpoint_folder(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    second = {**ATTEMPT, "number": 2, "job": "read-xsum-2"}
    place.put(a_running_run(attempts=[{**ATTEMPT, **FAILED}, second]))
    place.write_log("read-xsum-2", 0, "again")
    write_files(place.volumes, {"checkpoints/read-xsum/reports/attempt-1-rank-1.log": "step 7\nkilled\n"})

    assert main(["logs", "read-xsum", "--previous", *place.options]) == 0
    assert capsys.readouterr().out == "step 7\nkilled\n"
    assert main(["logs", "read-xsum", "--attempt", "1", "--rank", "0", *place.options]) == 1
    assert "attempt-1-rank-0.log does not exist" in capsys.readouterr().err
    assert main(["logs", "read-xsum", "--attempt", "7", *place.options]) == 1
    assert "has no attempt 7; the status has 1, 2" in capsys.readouterr().err


def test_logs_f_follow_into_the_next_attempt_until_the_run_ends(place: Place, screen: Screen) -> None:
    place.put(a_running_run())
    place.write_log("read-xsum-1", 0, "one")
    second = {**ATTEMPT, "number": 2, "job": "read-xsum-2"}

    def start_second() -> None:
        place.finish_pod("read-xsum-1", 0)
        place.put(a_running_run(attempts=[ATTEMPT, second]))
        place.write_log("read-xsum-2", 0, "three")

    def end() -> None:
        place.finish_pod("read-xsum-2", 0)
        ended: dict[str, Any] = {"state": "Complete", "observedGeneration": 1, "completionTime": "2026-01-02T04:00:00Z"}
        place.put(a_running_run(attempts=[ATTEMPT, second], **ended))

    screen.after("one", lambda: place.write_log("read-xsum-1", 0, "two")).after("two", start_second).after("three", end)

    assert main(["logs", "-f", "read-xsum", *place.options]) == 0
    assert [line for line in screen.lines if line in {"one", "two", "three"}] == ["one", "two", "three"]


def test_the_report_has_the_curve_of_the_newest_checkpoint(place: Place, tmp_path: Path) -> None:
    place.put(a_running_run())
    line = json.dumps({"step": 1, "loss": 3.5}) + "\n" + json.dumps({"step": 2, "loss": 2.5}) + "\n"
    write_files(place.volumes, {"checkpoints/read-xsum/step-2/metrics.jsonl": line})

    assert main(["report", "read-xsum", "-o", str(tmp_path / "page.html"), *place.options]) == 0
    text = (tmp_path / "page.html").read_text()
    assert "read-xsum" in text
    assert "training from 3.5 to" in text


def test_compare_shows_what_differs_and_draws_one_chart(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, rate, cer in (("first", "1e-4", "0.042"), ("second", "1e-5", "0.034")):
        metrics = [{"name": "validation_cer", "value": cer, "step": 4}]
        run = a_training_run(name).named(name, uid=f"uid-{name}").with_spec(optimizer={"learningRate": rate})
        place.put(run.with_status(state="Complete", metrics=metrics, attempts=[ATTEMPT]).to_manifest())
        lines = "".join(json.dumps({"step": step, "loss": 3 / step}) + "\n" for step in (1, 2, 3))
        write_files(place.volumes, {f"checkpoints/{name}/step-3/metrics.jsonl": lines})

    page = tmp_path / "page.html"
    assert main(["compare", "first", "second", "-o", str(page), *place.options]) == 0

    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["optimizer.learningRate", "1e-4", "1e-5"] in rows
    assert ["CER", "4.2%", "3.4%"] in rows
    assert not [row for row in rows if row[:1] == ["model.uri"]]
    assert page.read_text().count("first from 3 to") == 1
    assert "second from 3 to" in page.read_text()
    assert main(["compare", "first", *place.options]) == 64


def test_cost_lists_useful_and_lost_apart_with_a_total_for_each_currency(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    gpus = {"gpuSeconds": 7200, "lostGpuSeconds": 600, "cpuSeconds": 28_800, "lostCpuSeconds": 2400}
    cost = {"currency": "USD", "amount": "6.12", "lost": "0.51"}
    place.put(a_running_run(usage={**gpus, "cost": cost}))
    place.put(a_running_run("other", usage={"cost": {"currency": "USD", "amount": "0.003", "lost": "0"}}))
    rendered = {"cpuSeconds": 600, "cost": {"currency": "EUR", "amount": "2", "lost": "0"}}
    place.put(a_dataset_generation().with_status(state="Complete", usage=rendered).to_manifest())

    assert main(["cost", *place.options]) == 0

    rows = {tuple(cells[:2]): cells for cells in map(str.split, capsys.readouterr().out.splitlines())}
    assert rows["trainingrun/read-xsum", "Running"][2:] == ["5.61", "0.51", "USD", "28,800", "2,400", "7,200", "600"]
    assert rows["datasetgeneration/xsum", "Complete"][2:] == ["2.00", "0.00", "EUR", "600", "0", "0", "0"]
    assert rows["total", "5.613"][2:4] == ["0.51", "USD"]
    assert rows["total", "2.00"][2:4] == ["0.00", "EUR"]

    place.put(a_running_run("waiting", usage={}))
    assert main(["cost", *place.options]) == 0
    assert "without a price" not in capsys.readouterr().out
    place.put(a_running_run("unpriced", usage={"cpuSeconds": 60}))
    assert main(["cost", *place.options]) == 0
    assert "total without a price" in capsys.readouterr().out

    assert main(["cost", "read-xsum", *place.options]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_cost_estimates_a_file_from_what_was_measured_in_the_same_place(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = {**ATTEMPT, "heldTime": "2026-01-02T03:01:00Z", "endTime": "2026-01-02T03:02:00Z", "lastStep": 40}
    price = {"currency": "USD", "amount": "3.6"}
    place.put(a_running_run(state="Complete", attempts=[{**ended, "nodes": 1, "price": price}]))
    file = tmp_path / "new.yaml"
    new = a_training_run("new").with_spec(maxSteps=80).to_manifest()
    file.write_text(
        yaml.safe_dump({key: new[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "new"}})
    )

    assert main(["cost", "-f", str(file), *place.options]) == 0

    assert ["trainingrun/new", "0.12", "0.096", "0.144", "USD"] in [
        line.split()[:5] for line in capsys.readouterr().out.splitlines()
    ]
    assert place.get("TrainingRun", "new") is None
    assert main(["cost", "read-xsum", "-f", str(file), *place.options]) == 64
    assert main(["cost", "--calibrate", *place.options]) == 64


def test_prune_leaves_a_run_that_a_change_of_its_spec_continues(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_running_run(**ENDED)
    run["metadata"]["generation"] = 2  # the operator has not seen it yet
    place.put(run)

    assert main(["prune", "--older-than", "1d", "--yes", *place.options]) == 0

    assert capsys.readouterr().out.startswith("nothing ended before")
    assert place.get("TrainingRun", "read-xsum") is not None


def test_prune_of_old_resources_removes_them_with_their_data(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    ended: dict[str, Any] = {
        "state": "Complete",
        "observedGeneration": 1,
        "completionTime": "2026-01-02T04:00:00Z",
        "attempts": [ATTEMPT],
    }
    place.put(a_running_run(**ended))
    shared = a_training_run("shared").named("shared", uid="uid-shared").with_status(**ended).to_manifest()
    busy = a_training_run("busy").named("busy", uid="uid-busy").with_status(attempts=[ATTEMPT]).to_manifest()
    shared["spec"]["checkpoint"] = busy["spec"]["checkpoint"]
    place.put(shared)
    place.put(busy)
    write_files(place.volumes, {"checkpoints/read-xsum/step-1/a": "x" * 2000, "checkpoints/busy/step-1/a": "x"})

    assert main(["prune", "--older-than", "36500d", *place.options]) == 0
    assert capsys.readouterr().out.startswith("nothing ended before 19")
    assert main(["prune", "--older-than", "1d", *place.options]) == 64  # nobody can answer
    capsys.readouterr()
    assert main(["prune", "--older-than", "1d", "--yes", *place.options]) == 0

    said = capsys.readouterr()
    assert "trainingrun/read-xsum, ended 2026-01-02\n     2 kB  pvc://checkpoints/read-xsum" in said.err
    assert "trainingrun/read-xsum deleted, with 2 kB of data" in said.out
    assert "trainingrun/shared deleted, with 0 B of data" in said.out
    assert place.get("TrainingRun", "read-xsum") is None
    assert place.get("TrainingRun", "busy") is not None
    assert sorted(path.name for path in (place.volumes / "checkpoints").iterdir()) == ["busy"]


def test_prune_keeps_the_newest_and_the_best_checkpoint(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    best = {**CHECKPOINT, "step": 2, "uri": "pvc://checkpoints/read-xsum/step-2"}
    ended: dict[str, Any] = {"observedGeneration": 1, "completionTime": "2026-01-02T04:00:00Z", "bestCheckpoint": best}
    place.put(a_running_run(state="Complete", **ended))
    place.put(a_training_run("busy").named("busy", uid="uid-busy").with_status(attempts=[ATTEMPT]).to_manifest())
    folders = ("step-1", "step-2", "step-3", "step-4.tmp-attempt-1", "step-1.corrupt-attempt-1", "model")
    write_files(place.volumes, {f"checkpoints/read-xsum/{folder}/a": "x" * 2000 for folder in folders})
    write_files(place.volumes, {"checkpoints/busy/step-1.tmp-attempt-1/a": "x"})

    assert main(["prune", *place.options]) == 64  # nobody can answer
    assert main(["prune", "--yes", *place.options]) == 0

    said = capsys.readouterr()
    assert "6 kB  in all" in said.err
    assert said.out == "trainingrun/read-xsum: removed 6 kB\n"
    left = sorted(path.name for path in (place.volumes / "checkpoints/read-xsum").iterdir())
    assert left == ["model", "step-2", "step-3"]
    assert (place.volumes / "checkpoints/busy/step-1.tmp-attempt-1").exists()
    assert main(["prune", "--yes", *place.options]) == 0
    assert capsys.readouterr().out == "nothing to remove\n"


OWN_FOLDERS: Final = (
    *("step-2-copy", "step-1.bak", "step-by-step-notes", "step-007", "step-²", "step-" + "9" * 30, "a.tmp-attempt-1"),
    *("step-1.tmp-attempt-1-keep", "step-1.corrupt-attempt-mine", "step-1.tmp-attempt-1.bak"),
)


def test_prune_keeps_folders_with_names_that_the_trainer_does_not_give(place: Place) -> None:
    put_run(place, "ended")
    made = ("step-1", "step-9", "step-4.tmp-attempt-1.2", "step-4.tmp-attempt-0123456789ab", "step-3.corrupt-attempt-2")
    write_files(place.volumes, {f"checkpoints/ended/{folder}/a": "x" for folder in (*made, *OWN_FOLDERS)})

    assert main(["prune", "--yes", *place.options]) == 0

    left = {folder.name for folder in (place.volumes / "checkpoints/ended").iterdir()}
    assert left == {"step-9", *OWN_FOLDERS}


ENDED: dict[str, Any] = {
    "state": "Complete",
    "observedGeneration": 1,
    "completionTime": "2026-01-02T04:00:00Z",
    "attempts": [ATTEMPT],
}


def put_run(place: Place, name: str, *, namespace: str = "default", status: Any = ENDED, **spec: Any) -> None:
    run = a_training_run(name).named(name, uid=f"uid-{name}").with_spec(**spec).with_status(**status).to_manifest()
    place.put({**run, "metadata": {**run["metadata"], "namespace": namespace}})


def put_live(place: Place, **spec: Any) -> None:
    """A run that has not ended, at pvc://ckpt/live."""
    put_run(place, "live", status={"attempts": [ATTEMPT]}, **{"checkpoint": {"uri": "pvc://ckpt/live"}, **spec})


@pytest.mark.parametrize("uri", ["pvc://ckpt", "pvc://ckpt/live/", "pvc://ckpt/*", "pvc://ckpt/live/sub"])
def test_prune_of_old_resources_keeps_folders_in_and_around_those_of_others(place: Place, uri: str) -> None:
    put_live(place)
    put_run(place, "old", checkpoint={"uri": uri})
    write_files(place.volumes, {"ckpt/live/sub/a": "x"})

    assert main(["prune", "--older-than", "1d", "--yes", *place.options]) == 0

    assert place.get("TrainingRun", "old") is None
    assert (place.volumes / "ckpt/live/sub/a").exists()


def test_prune_of_old_resources_keeps_what_others_read(place: Place) -> None:
    folders = [f"pvc://pages/{name}" for name in "abcd"]
    model = {"uri": folders[1]}
    cache = {"features": {"uri": folders[2]}}
    put_live(place, datasets=[{"name": "pages", "uri": folders[0]}], model=model, cache=cache)
    reader = {**ENDED, "completionTime": "2999-01-02T04:00:00Z", "datasets": [{"name": "pages", "uri": folders[3]}]}
    put_run(place, "young", status=reader)
    for folder in [*folders, "pvc://pages/free"]:
        generation = a_dataset_generation().with_spec(output={"uri": folder})
        name = f"old-{folder[-1]}"
        jobs = [{"name": f"{name}-plan", "step": "Plan", "image": "cpu:1", "startTime": "2026-01-02T03:01:00Z"}]
        ended = {"state": "Complete", "observedGeneration": 1, "completionTime": "2026-01-02T04:00:00Z", "jobs": jobs}
        place.put(generation.named(name, uid=f"uid-{name}").with_status(**ended).to_manifest())
    write_files(place.volumes, {f"pages/{name}/a": "x" for name in (*"abcd", "free")})

    assert main(["prune", "--older-than", "1d", "--yes", *place.options]) == 0

    assert sorted(folder.name for folder in (place.volumes / "pages").iterdir()) == [*"abcd"]


def test_a_glob_in_a_uri_is_the_name_of_one_folder(place: Place) -> None:
    put_run(place, "old", checkpoint={"uri": "pvc://ckpt/*"})
    put_run(place, "older", checkpoint={"uri": "pvc://ckpt/[a]"})
    write_files(place.volumes, {"ckpt/other/a": "x", "ckpt/*/a": "x", "ckpt/[a]/a": "x", "ckpt/a/a": "x"})

    assert main(["delete", "old", "--data", "--yes", *place.options]) == 0
    assert main(["prune", "--older-than", "1d", "--yes", *place.options]) == 0

    assert sorted(folder.name for folder in (place.volumes / "ckpt").iterdir()) == ["a", "other"]


def test_delete_with_data_keeps_and_names_what_others_use(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    put_live(place)
    put_run(place, "old", checkpoint={"uri": "pvc://ckpt"})
    write_files(place.volumes, {"ckpt/live/a": "x"})

    assert main(["delete", "old", "--data", "--yes", *place.options]) == 0

    assert "is kept  pvc://ckpt (trainingrun/live uses it)" in capsys.readouterr().err
    assert place.get("TrainingRun", "old") is None
    assert (place.volumes / "ckpt/live/a").exists()


def test_delete_with_data_removes_a_link_and_keeps_what_it_leads_to(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    put_run(place, "old", checkpoint={"uri": "pvc://ckpt/old"})
    write_files(tmp_path, {"disk/own": "x", "disk/step-1/a": "x"})
    write_files(place.volumes, {"ckpt/other/a": "x"})
    (place.volumes / "ckpt/old").symlink_to(tmp_path / "disk")

    assert main(["delete", "old", "--data", "--yes", *place.options]) == 0

    assert "0 B  pvc://ckpt/old" in capsys.readouterr().err
    assert f"pvc://ckpt/old is a link: it is removed, and what it leads to is kept: {tmp_path}/disk" in caplog.text
    assert [path.name for path in (place.volumes / "ckpt").iterdir()] == ["other"]
    assert (tmp_path / "disk/own").exists()
    assert (tmp_path / "disk/step-1/a").exists()


def test_delete_with_data_keeps_a_dataset_that_a_run_waits_for(place: Place) -> None:
    put_live(place, datasets=[{"name": "pages", "datasetGenerationRef": {"name": "xsum"}}])
    jobs = [{"name": "xsum-plan", "step": "Plan", "image": "cpu:1", "startTime": "2026-01-02T03:01:00Z"}]
    ended = {"state": "Complete", "observedGeneration": 1, "completionTime": "2026-01-02T04:00:00Z", "jobs": jobs}
    place.put(a_dataset_generation().with_status(**ended).to_manifest())
    write_files(place.volumes, {"data/xsum/a": "x"})

    assert main(["delete", "dsg/xsum", "--data", "--yes", *place.options]) == 0

    assert (place.volumes / "data/xsum/a").exists()


def test_delete_with_data_names_the_complete_runs_that_were_trained_on_it(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    put_run(place, "old", datasets=[{"name": "pages", "datasetGenerationRef": {"name": "xsum"}}])
    put_run(place, "older", datasets=[{"name": "pages", "uri": "pvc://data/xsum"}])
    put_run(place, "other", datasets=[{"name": "pages", "uri": "pvc://data/other"}])
    jobs = [{"name": "xsum-plan", "step": "Plan", "image": "cpu:1", "startTime": "2026-01-02T03:01:00Z"}]
    ended = {"state": "Complete", "observedGeneration": 1, "completionTime": "2026-01-02T04:00:00Z", "jobs": jobs}
    place.put(a_dataset_generation().with_status(**ended).to_manifest())
    write_files(place.volumes, {"data/xsum/a": "x"})

    assert main(["delete", "dsg/xsum", "--data", "--yes", *place.options]) == 0

    shown = capsys.readouterr()
    for name in ("old", "older"):
        line = f"trainingrun/{name} (Complete) was trained on it, and cannot continue without it"
        assert line in shown.out
        assert line in shown.err
    assert "trainingrun/other" not in shown.out


def test_prune_of_an_old_dataset_names_the_younger_runs_that_were_trained_on_it(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    younger = {"state": "Complete", "observedGeneration": 1, "completionTime": datetime.now(UTC).isoformat()}
    put_run(place, "new", status=younger, datasets=[{"name": "pages", "datasetGenerationRef": {"name": "xsum"}}])
    jobs = [{"name": "xsum-plan", "step": "Plan", "image": "cpu:1", "startTime": "2026-01-02T03:01:00Z"}]
    ended = {"state": "Complete", "observedGeneration": 1, "completionTime": "2026-01-02T04:00:00Z", "jobs": jobs}
    place.put(a_dataset_generation().with_status(**ended).to_manifest())
    write_files(place.volumes, {"data/xsum/a": "x"})

    assert main(["prune", "--older-than", "1d", "--yes", *place.options]) == 0

    assert "trainingrun/new (Complete) was trained on it, and cannot continue" in capsys.readouterr().err


def test_prune_removes_only_the_feature_store_of_the_folder_of_features(place: Place) -> None:
    put_run(place, "ended", cache={"features": {"uri": "pvc://ckpt/features/"}})
    write_files(place.volumes, {"ckpt/features/v1/model/a": "x", "ckpt/features/own/a": "x"})

    assert main(["prune", "--yes", *place.options]) == 0

    assert [folder.name for folder in (place.volumes / "ckpt/features").iterdir()] == ["own"]


def test_prune_removes_datasets_and_models_that_no_run_shares(place: Place) -> None:
    put_run(place, "ended", cache={"uri": "pvc://ckpt/inputs"})
    put_run(place, "other", cache={"uri": "pvc://ckpt/shared"})
    put_live(place, cache={"uri": "pvc://ckpt/shared/"})
    write_files(
        place.volumes, {"ckpt/inputs/inputs-v1/a": "x", "ckpt/inputs/own/a": "x", "ckpt/shared/inputs-v1/a": "x"}
    )

    assert main(["prune", "--yes", *place.options]) == 0

    assert [folder.name for folder in (place.volumes / "ckpt/inputs").iterdir()] == ["own"]
    assert (place.volumes / "ckpt/shared/inputs-v1/a").exists()


def test_prune_keeps_features_that_a_run_that_has_not_ended_shares(place: Place) -> None:
    put_run(place, "ended", cache={"features": {"uri": "pvc://ckpt/features"}})
    put_live(place, cache={"features": {"uri": "pvc://ckpt/features/"}})
    write_files(place.volumes, {"ckpt/features/v1/model/a": "x"})

    assert main(["prune", "--yes", *place.options]) == 0

    assert (place.volumes / "ckpt/features/v1/model/a").exists()


def test_prune_keeps_checkpoints_that_a_run_that_has_not_ended_starts_from(place: Place) -> None:
    put_run(place, "base")
    put_live(place, model={"trainingRunRef": {"name": "base", "checkpoint": "step-2"}})
    pinned = {"attempts": [ATTEMPT], "model": {"uri": "pvc://checkpoints/base/step-1/model", "step": 1}}
    put_run(place, "pinned", status=pinned, model={"trainingRunRef": {"name": "base", "checkpoint": "best"}})
    write_files(place.volumes, {f"checkpoints/base/step-{step}/model/a": "x" for step in (1, 2, 3, 4)})

    assert main(["prune", "--yes", *place.options]) == 0

    left = sorted(folder.name for folder in (place.volumes / "checkpoints/base").iterdir())
    assert left == ["step-1", "step-2", "step-4"]


def test_prune_leaves_a_folder_in_which_a_run_that_has_not_ended_may_save(place: Place) -> None:
    put_run(place, "ended", checkpoint={"uri": "pvc://ckpt/live"})
    put_live(place)
    write_files(place.volumes, {"ckpt/live/step-4.tmp-attempt-1/a": "x"})

    assert main(["prune", "--yes", *place.options]) == 0

    assert (place.volumes / "ckpt/live/step-4.tmp-attempt-1/a").exists()


@pytest.mark.parametrize("options", [[], ["--older-than", "1d"]])
def test_prune_skips_a_run_that_never_had_a_pod(
    place: Place, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    put_run(
        place, "refused", status={"state": "Failed", "observedGeneration": 1, "completionTime": "2026-01-02T04:00:00Z"}
    )
    put_run(place, "ended")
    write_files(place.volumes, {"checkpoints/ended/step-1.tmp-attempt-1/a": "x"})

    assert main(["prune", *options, "--yes", *place.options]) == 0

    assert "trainingrun/ended" in capsys.readouterr().out
    assert not (place.volumes / "checkpoints/ended/step-1.tmp-attempt-1").exists()


@pytest.fixture
def folder_place(tmp_path: Path) -> Iterator[FolderPlace]:
    folder = FolderPlace(RunsFolder.open(tmp_path / "runs"))
    with folder.run():
        yield folder


def test_namespaces_of_a_folder_share_its_volumes(folder_place: FolderPlace) -> None:
    place = folder_place
    put_live(place)
    put_run(place, "old", namespace="team", checkpoint={"uri": "pvc://ckpt/live"})
    put_run(place, "same", namespace="team", checkpoint={"uri": f"file://{place.volumes}/ckpt"})
    write_files(place.volumes, {"ckpt/live/step-1.tmp-attempt-1/a": "x"})
    team = ["--namespace", "team", "--yes", *place.options]

    assert main(["prune", *team]) == 0
    assert main(["prune", "--older-than", "1d", *team]) == 0

    assert place.store.load("TrainingRun", "team", "old") is None
    assert place.store.load("TrainingRun", "team", "same") is None
    assert (place.volumes / "ckpt/live/step-1.tmp-attempt-1/a").exists()


def test_prune_of_old_resources_refuses_a_name_of_several_namespaces(
    folder_place: FolderPlace, capsys: pytest.CaptureFixture[str]
) -> None:
    put_live(folder_place)
    put_run(folder_place, "live", namespace="team")

    assert main(["prune", "--older-than", "1d", "--yes", *folder_place.options]) == 64

    assert "trainingrun/live: is in several namespaces; choose one with --namespace" in capsys.readouterr().err
    assert folder_place.get("TrainingRun", "live") is not None
