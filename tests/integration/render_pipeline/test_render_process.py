"""What can only be tested in a separate process: signals, hash seeds, imports, and the library `datasets`."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from deepsynth_api.reasons import Reason
from deepsynth_render.page import PageRenderer
from deepsynth_render.page.characters import normalise
from deepsynth_render.render.step import run_render
from deepsynth_render.reporting.dropped import RefusedDocument
from integration.render_pipeline.render_steps import LONG, Steps, build_rows, read_documents, write_parquet
from support.free_port import find_free_port

Build = Callable[..., Steps]

LOAD = """
import json, sys
from datasets import load_dataset
data = load_dataset(sys.argv[1])
print(json.dumps({
    "splits": {name: len(split) for name, split in data.items()},
    "features": {name: type(feature).__name__ for name, feature in data["train"].features.items()},
    "image": [data["train"][0]["image"].mode, *data["train"][0]["image"].size],
    "pages": [[row["document_id"], row["text"]] for row in data["train"].remove_columns("image")],
}))
"""


def test_the_library_datasets_opens_the_result(
    build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "source/train.parquet", build_rows(12), group_rows=4)
    write_parquet(tmp_path / "source/test.parquet", build_rows(3, 50))
    build_steps(tmp_path / "source", rowsPerShard=4).run_all()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    command = [sys.executable, "-c", LOAD, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    documents: dict[str, str] = {}
    for name, text in found["pages"]:
        documents[name] = documents.get(name, "") + text
    assert documents == {f"train-{number}": normalise(row["text"]) for number, row in enumerate(build_rows(12))}
    assert found["features"]["image"] == "Image"
    assert found["image"] == ["L", 160, 120]
    assert found["splits"] == {"train": len(found["pages"]), "test": len(read_documents(tmp_path / "out", "test"))}


def test_bytes_do_not_depend_on_the_hash_seed_of_the_process(
    build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "source/train.parquet", build_rows(20))
    found = []
    for seed in ["1", "2"]:
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        steps = build_steps(tmp_path / "source", f"out{seed}")
        assert steps.run_process("plan").returncode == 0
        steps.plan()
        done = steps.run_process("render", 0)
        assert done.returncode == 0, done.stderr
        steps.succeed("publish")
        found.append(
            {path.name: path.read_bytes() for path in (tmp_path / f"out{seed}").rglob("*.*") if path.is_file()}
        )
    assert found[0] == found[1]


HEAVY = {"datasets", "huggingface_hub", "icu4py", "kubernetes", "pandas", "PIL", "pyarrow", "torch", "yaml"}


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("deepsynth_render.plan.step", HEAVY),
        ("deepsynth_render.render.step", HEAVY),
        ("deepsynth_render.publish.step", HEAVY - {"yaml"} | {"numpy", "freetype", "uharfbuzz"}),
        ("deepsynth_local.local_run", HEAVY - {"yaml"} | {"numpy"}),
    ],
)
def test_a_process_imports_nothing_heavy_before_it_needs_it(module: str, unneeded: set[str]) -> None:
    code = f"import sys, {module}; print({unneeded} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_step_does_not_import_pandas(build_steps: Build, tmp_path: Path) -> None:
    write_parquet(tmp_path / "source/train.parquet", build_rows(2))
    steps = build_steps(tmp_path / "source")
    steps.prepare("plan", None)
    command = [sys.executable, "-X", "importtime", *steps.build_command("plan")[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "pyarrow" in imported
    assert "pandas.core.api" not in imported


def test_sigterm_ends_a_render_at_once_and_the_next_one_does_all_of_it(
    build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"text": f"{number} " + LONG * 200, "summary": "A long fox story."} for number in range(400)]
    write_parquet(tmp_path / "source/train.parquet", rows)
    steps = build_steps(tmp_path / "source", page={"size": "512", "maxPages": 100})
    steps.plan()
    port = find_free_port()
    monkeypatch.setenv("DEEPSYNTH_REPORT_ADDRESS", f"127.0.0.1:{port}")
    # An exception that a signal raises inside of coverage leaves its lock taken, and the process would wait for it.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    steps.prepare("render", 0)
    before = set(steps.folder.iterdir())
    with subprocess.Popen(steps.build_command("render"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for_documents(port, process)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=600)
    assert process.returncode == 143, errors
    assert errors == b""
    report = json.loads((steps.folder / "termination-log").read_bytes())
    assert 0 < report["render"]["documents"] < 400
    assert "failure" not in report
    assert set(steps.folder.iterdir()) - {steps.folder / "termination-log"} == before - {
        steps.folder / "termination-log"
    }
    assert [path.name for path in (tmp_path / "out").glob(".deepsynth-*/*")] == ["plan"]
    monkeypatch.delenv("DEEPSYNTH_REPORT_ADDRESS")
    steps.settings["page"] = {"size": "512", "maxPages": 100}
    steps.find = lambda _: partial(run_render, build_renderer=RefuseAll)
    assert steps.succeed("render", 0).render is not None


class RefuseAll(PageRenderer):
    """A renderer that refuses every document: the second run only has to reach them all."""

    def __init__(self, *_: object) -> None: ...

    @property
    def has_several_styles(self) -> bool:
        return False

    def render(self, text: str, seed_key: str, *, is_normalised: bool = False) -> NoReturn:
        del text, is_normalised
        raise RefusedDocument(Reason.OVERFLOW, seed_key)


def wait_for_documents(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until the process reports its first document."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/report", timeout=600) as answer:
                if (json.load(answer).get("render") or {}).get("documents"):
                    return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"it ended with {process.returncode} before its first document")
