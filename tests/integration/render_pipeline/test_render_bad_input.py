"""An error of the user ends with one message, the right exit code and no traceback."""

import errno
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_render.__main__ import main
from deepsynth_render.documents.plan_rows import PlanRowWriter
from deepsynth_render.plan.step import run_plan
from deepsynth_render.render.shard_writer import ShardWriter
from integration.render_pipeline.render_steps import Steps, build_rows, write_jsonl, write_parquet
from support.store.hub_server.server import HubServer

Build = Callable[..., Steps]


@pytest.fixture(autouse=True)
def no_traceback(capfd: pytest.CaptureFixture[str]) -> object:
    yield
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_missing_column_is_refused_with_a_list_of_those_there_are(build_steps: Build, tmp_path: Path) -> None:
    write_parquet(tmp_path / "source/train.parquet", [{"story": "s", "gist": "g"}])
    message = build_steps(tmp_path / "source").fail("plan", 64)
    assert "source.columns.text" in message
    assert "story, gist" in message


def test_a_column_of_another_type_is_named(build_steps: Build, tmp_path: Path) -> None:
    write_parquet(tmp_path / "source/train.parquet", [{"text": ["a", "b"], "summary": "s"}])
    assert "'text' of train.parquet" in build_steps(tmp_path / "source").fail("plan", 65)


@pytest.mark.parametrize("where", ["footer", "middle", "empty"])
def test_a_damaged_parquet_file_is_named(build_steps: Build, tmp_path: Path, where: str) -> None:
    path = tmp_path / "source/train.parquet"
    write_parquet(path, build_rows(500))
    content = path.read_bytes()
    half = len(content) // 2
    damaged = {"footer": content[:half], "middle": content[:100] + b"\xff" * 4000 + content[4100:], "empty": b""}
    path.write_bytes(damaged[where])
    message = build_steps(tmp_path / "source").fail("plan", 65)
    assert "train.parquet of file://" in message
    assert "not a readable parquet file" in message


def test_texts_that_are_not_utf8_are_found(build_steps: Build, tmp_path: Path) -> None:
    binary = pa.array([b"\xff" * 60] * 3)
    texts = pa.Array.from_buffers(pa.string(), 3, binary.buffers())
    (tmp_path / "source").mkdir()
    pq.write_table(pa.table({"text": texts, "summary": ["long enough"] * 3}), tmp_path / "source/train.parquet")
    assert "not a readable parquet file" in build_steps(tmp_path / "source").fail("plan", 65)


@pytest.mark.parametrize("rows", [[], [{"text": "short", "summary": "s"}]])
def test_a_dataset_without_usable_rows_is_refused(
    build_steps: Build, tmp_path: Path, rows: list[dict[str, str]]
) -> None:
    table = pa.table({key: pa.array([row[key] for row in rows], pa.string()) for key in ("text", "summary")})
    (tmp_path / "source").mkdir()
    pq.write_table(table, tmp_path / "source/train.parquet")
    message = build_steps(tmp_path / "source").fail("plan", 65)
    assert ("1 TextTooShort" in message) if rows else ("holds no rows in train" in message)


def test_a_dataset_without_a_document_that_can_be_drawn_is_refused(build_steps: Build, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "source/train.jsonl", [{"text": "\U00017000\U00017001" * 40, "summary": "In Tangut."}])
    assert "1 UnsupportedScript" in build_steps(tmp_path / "source").fail("plan", 65)
    message = build_steps(tmp_path / "source", maxRefusedPercent=100).fail("plan", 65)
    assert "all rows of" in message
    assert "1 UnsupportedScript" in message


def test_a_dataset_of_documents_that_are_all_too_long_is_refused(build_steps: Build, tmp_path: Path) -> None:
    """Only render knows."""
    write_jsonl(tmp_path / "source/train.jsonl", [{"text": "x" * 100_000, "summary": "A very long word."}])
    steps = build_steps(tmp_path / "source", maxRefusedPercent=100)
    steps.plan()
    steps.render_all()
    assert "no document of" in steps.fail("publish", 65)


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        ({"config": "fr"}, 64, ["source.config", "'fr'", "default"]),
        ({"splits": ["dev"]}, 64, ["source.splits", "'dev'", "train"]),
        ({"columns": {"text": "body"}}, 64, ["source.columns.text", "'body'", "text, summary"]),
        ({"uri": "file:///nowhere"}, 64, ["source.uri", "/nowhere"]),
        ({"uri": "pvc://claim/x"}, 64, ["source.uri", "DEEPSYNTH_VOLUMES"]),
        ({"uri": "docstrings://", "splits": ["test"]}, 64, ["source.splits", "train, validation"]),
    ],
)
def test_a_wrong_field_of_the_source_is_named(
    build_steps: Build, tmp_path: Path, source: dict[str, object], code: int, words: list[str]
) -> None:
    write_parquet(tmp_path / "source/train.parquet", build_rows(2))
    message = build_steps({"uri": f"file://{tmp_path}/source", **source}).fail("plan", code)
    assert all(word in message for word in words)


def test_a_file_of_another_format_is_refused(build_steps: Build, tmp_path: Path) -> None:
    (tmp_path / "texts.docx").write_bytes(b"PK")
    assert ".parquet, .jsonl, .csv, .tsv, .json" in build_steps(tmp_path / "texts.docx").fail("plan", 65)


def test_a_source_that_changed_since_it_was_planned_is_not_mixed(build_steps: Build, tmp_path: Path) -> None:
    write_parquet(tmp_path / "source/train.parquet", build_rows(20))
    steps = build_steps(tmp_path / "source")
    steps.plan()
    write_parquet(tmp_path / "source/train.parquet", build_rows(21))
    assert "has changed" in steps.fail("render", 65, 0)


def test_a_page_on_which_no_text_fits_is_refused_by_the_plan(build_steps: Build, tmp_path: Path) -> None:
    write_parquet(tmp_path / "source/train.parquet", build_rows(2))
    message = build_steps(tmp_path / "source", page={"size": "100x100", "fontSizesPx": [90]}).fail("plan", 64)
    assert "100x100" in message


@pytest.mark.parametrize(
    ("uri", "unreadable"),
    [
        ("source", "source"),
        ("source", "source/more"),
        ("source", "source/train.parquet"),
        ("source/train.parquet", "source/train.parquet"),
    ],
)
def test_an_unreadable_source_is_named_with_the_remedy(
    build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, unreadable: str
) -> None:
    write_parquet(tmp_path / "source/train.parquet", build_rows(2))
    write_parquet(tmp_path / "source/more/train.parquet", build_rows(2, 2))
    forbid(monkeypatch, tmp_path / unreadable)
    message = build_steps(tmp_path / uri).fail("plan", 64)
    assert f"source.uri: {tmp_path / unreadable} of file://{tmp_path / uri} cannot be read" in message
    assert "chmod a+r" in message


def forbid(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Refuse to open or list `path`. File modes would not do, because tests may run as root."""

    def refuse(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(target: Any, *arguments: Any, **options: Any) -> Any:
            if str(target) == str(path):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return function(target, *arguments, **options)

        return call

    monkeypatch.setattr(Path, "open", refuse(Path.open))
    monkeypatch.setattr(os, "scandir", refuse(os.scandir))


def test_the_lost_and_found_folder_of_a_volume_is_skipped(
    build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "source/train.parquet", build_rows(2))
    (tmp_path / "source/lost+found").mkdir()
    forbid(monkeypatch, tmp_path / "source/lost+found")
    build_steps(tmp_path / "source").succeed("plan")


def test_an_output_that_cannot_be_written_is_named_before_the_source_is_read(build_steps: Build) -> None:
    assert "output.uri" in build_steps(Path("/nowhere"), "pvc://claim/out").fail("plan", 64)


def test_a_full_disk_is_named_and_the_step_can_be_repeated(
    build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_parquet(tmp_path / "source/train.parquet", build_rows(20))
    steps = build_steps(tmp_path / "source")
    with monkeypatch.context() as patch:
        patch.setattr(PlanRowWriter, "add", fill)
        assert "no space left" in steps.fail("plan", 75)
    steps.plan()
    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "add", fill)
        assert "no space left" in steps.fail("render", 75, 0)
    assert steps.report is not None
    assert steps.report.failure is not None
    assert steps.report.failure.reason == "DiskFull"
    steps.succeed("render", 0)
    steps.succeed("publish")


@pytest.mark.parametrize("index", ["", "x", "-1", "7"])
def test_an_index_without_a_shard_is_refused(
    build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: str
) -> None:
    write_parquet(tmp_path / "source/train.parquet", build_rows(2))
    steps = build_steps(tmp_path / "source")
    steps.plan()
    monkeypatch.setenv("JOB_COMPLETION_INDEX", index)
    assert "JOB_COMPLETION_INDEX" in steps.fail("render", 64)


@pytest.mark.parametrize("step", ["render", "publish"])
def test_a_step_without_a_plan_says_so(build_steps: Build, tmp_path: Path, step: str) -> None:
    write_parquet(tmp_path / "source/train.parquet", build_rows(2))
    steps = build_steps(tmp_path / "source")
    assert "plan: missing in the workload document" in steps.fail(step, 64, 0)
    steps.settings["plan"] = {"digest": "0" * 64, "revision": "r", "shards": 1}
    assert "no staged plan" in steps.fail(step, 65, 0)


def test_a_damaged_plan_is_refused(build_steps: Build, tmp_path: Path) -> None:
    write_parquet(tmp_path / "source/train.parquet", build_rows(2))
    steps = build_steps(tmp_path / "source")
    steps.plan()
    (rows,) = (tmp_path / "out").glob(".deepsynth-*/plan/rows-*.parquet")
    rows.write_bytes(rows.read_bytes().replace(b"train.parquet", b"trail.parquet"))
    assert "rows-00000.parquet" in steps.fail("render", 65, 0)
    (plan,) = (tmp_path / "out").glob(".deepsynth-*/plan/plan.json")
    plan.write_bytes(plan.read_bytes().replace(b"foxes", b"boxes"))
    assert "plan/plan.json" in steps.fail("render", 65, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", ["document"]), ("{}", ["image of the operator's own version"]), (None, ["--document"])],
)
def test_an_invalid_workload_document_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str | None, words: list[str]
) -> None:
    path = tmp_path / "workload.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert main(["plan", "--document", str(path)]) == 64
    said = capfd.readouterr().out
    assert said.startswith("error: ")
    assert all(word in said for word in words)


def test_a_report_address_that_cannot_be_served_is_refused(
    build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSYNTH_REPORT_ADDRESS", "127.0.0.1:notaport")
    assert "DEEPSYNTH_REPORT_ADDRESS" in build_steps(tmp_path).fail("plan", 64)


def test_an_unreachable_hub_is_a_temporary_error(
    build_steps: Build, monkeypatch: pytest.MonkeyPatch, hub: HubServer
) -> None:
    hub.stop()
    monkeypatch.setattr("time.sleep", lambda _: None)
    message = build_steps({"uri": "hf://datasets/someone/texts"}).fail("plan", 75)
    assert hub.url in message


@pytest.mark.parametrize(("token", "words"), [(None, ["HF_TOKEN", "Secret"]), ("hf_wrong", ["HF_TOKEN"])])
def test_a_missing_or_wrong_token_names_the_key_of_the_secret(
    build_steps: Build, monkeypatch: pytest.MonkeyPatch, hub: HubServer, token: str | None, words: list[str]
) -> None:
    hub.create_repository("someone/texts", private=True)
    if token is None:
        monkeypatch.delenv("HF_TOKEN")
    else:
        monkeypatch.setenv("HF_TOKEN", token)
    message = build_steps({"uri": "hf://datasets/someone/texts"}).fail("plan", 64)
    assert all(word in message for word in words)


def test_a_defect_of_deepsynth_is_reported_too(
    build_steps: Build, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise ZeroDivisionError

    steps = build_steps(tmp_path)
    steps.find = lambda _: partial(run_plan, open_texts=fail)
    message = steps.fail("plan", 70)
    assert "ZeroDivisionError" in message
    assert "Traceback" in capfd.readouterr().out


def test_an_error_of_the_machine_is_a_temporary_error(build_steps: Build, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EIO, "Input/output error")

    steps = build_steps(tmp_path)
    steps.find = lambda _: partial(run_plan, open_texts=fail)
    assert "Input/output error" in steps.fail("plan", 75)
    assert json.loads((tmp_path / "work-out/termination-log").read_text())["failure"]["exitCode"] == 75
