"""The real render step on one shard, each time in a fresh process: start-up is part of what is measured."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

PAGE = {
    "size": "1024",
    "fontFamilies": ["DejaVu Sans"],
    "fontSizesPx": [18],
    "marginPx": 32,
    "lineHeight": "1.25",
    "maxPages": 1000,
}
NINE_STYLES: Mapping[str, Sequence[str | int]] = {
    "fontFamilies": ["DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono"],
    "fontSizesPx": [17, 18, 19],
}


class Usage(NamedTuple):
    """What a process used. seconds: CPU, user and system. peak: resident memory in bytes."""

    seconds: float
    peak: int


class Result(NamedTuple):
    """size: bytes of PNG and parquet."""

    usage: Usage
    pages: int
    words: int
    size: int


def run_process(command: Sequence[str], environment: Mapping[str, str]) -> Usage:
    """Raises CalledProcessError when it fails.

    Bytecode is kept, as that of the image is: compiling all modules again would take a second of each process.
    """
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


class Shard:
    """A planned shard of all documents. Use it as often as you like: each run starts from the plan."""

    def __init__(self, folder: Path, documents: Sequence[str], page: Mapping[str, Any], compression: str) -> None:
        self._folder = folder
        self._words = sum(len(text.split()) for text in documents)
        source = folder / "source/train.parquet"
        source.parent.mkdir(parents=True)
        pq.write_table(pa.table({"text": documents, "summary": ["A summary of it."] * len(documents)}), source)
        self._document = {
            "name": "pages",
            "namespace": "default",
            "uid": "1",
            "sourceName": "bench",
            "page": {**PAGE, **page},
            "rowsPerShard": len(documents),
            "filters": {"deduplicate": False},
            "source": {"uri": f"file://{source.parent}"},
            "output": {"uri": f"file://{folder / 'out'}", "compression": compression},
        }
        self._run("plan")
        plan = self._read_report()["plan"]
        self._document["plan"] = {name: plan[name] for name in ("digest", "revision", "shards")}

    def render(self) -> Result:
        usage = self._run("render")
        report = self._read_report()["render"]
        for path in (self._folder / "out").rglob("*"):
            if path.is_file() and "plan" not in path.parts:
                path.unlink()
        return Result(usage, report["pages"], self._words, report["bytes"])

    def _run(self, step: str) -> Usage:
        document = self._folder / "workload.json"
        document.write_text(json.dumps(self._document))
        environment = {
            "DEEPSYNTH_TERMINATION_LOG": str(self._folder / "report.json"),
            "JOB_COMPLETION_INDEX": "0",
            "TMPDIR": str(self._folder),
        }
        return run_process([sys.executable, "-m", "deepsynth_render", step, "--document", str(document)], environment)

    def _read_report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self._folder / "report.json").read_text())
        return report


def measure_in_turn(shards: Mapping[str, Shard], repeats: int) -> dict[str, list[Result]]:
    """All runs of each shard. The shards take turns, so that a busy machine slows all of them."""
    runs: dict[str, list[Result]] = {name: [] for name in shards}
    for _ in range(repeats):
        for name, shard in shards.items():
            runs[name].append(shard.render())
    return runs


def find_median(runs: Sequence[Result]) -> Result:
    """The run of median CPU time."""
    return sorted(runs, key=lambda run: run.usage.seconds)[len(runs) // 2]


def compare_pages(runs: Sequence[Result], others: Sequence[Result]) -> float:
    """How many times as long a page takes as in the others: the median over the turns."""
    return median(
        (run.usage.seconds / run.pages) / (other.usage.seconds / other.pages)
        for run, other in zip(runs, others, strict=True)
    )
