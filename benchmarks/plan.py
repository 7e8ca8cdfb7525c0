"""What the plan step takes of a generation: `make benchmark-plan`.

Documents of prose as parquet and as JSON lines are planned with one processor and with two, and a part of them is
rendered. One process reads the source, drops duplicates and writes the rows of the shards; others normalise, check and
hash the texts. So the plan takes at least the reader's time, however many processors there are, while rendering is
shared by all. The last columns say which part of a generation on 4, 8 and 32 cores the plan is, from these figures.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.render_pages.corpus import build_documents
from benchmarks.render_pages.shards import Shard

from deepsynth_render.plan.processes import MAX_PROCESSES

_ROW_GROUP: Final = 1000
_RENDERED: Final = 1000
_CORES: Final = (4, 8, 32)
_STEP: Final = """
import json, resource, runpy, sys, time
started = time.monotonic()
sys.argv[1:] = ["plan", "--document", sys.argv[1]]
try:
    runpy.run_module("deepsynth_render", run_name="__main__", alter_sys=True)
except SystemExit as end:
    code = end.code
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps([time.monotonic() - started, *(usage.ru_utime + usage.ru_stime for usage in used)]))
sys.exit(code)
"""


class Planned(NamedTuple):
    """Seconds of the step, CPU seconds of the process that reads, and of the others."""

    wall: float
    reader: float
    others: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=300, help="of text that is planned (default %(default)s)")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/deepsynth/corpora", help="of the corpus")
    arguments = parser.parse_args()
    _, prose = build_documents(arguments.cache, 2150)
    texts = repeat(prose, arguments.megabytes * 10**6)
    gigabytes = sum(len(text.encode()) for text in texts) / 1e9
    with tempfile.TemporaryDirectory() as name:
        rendered = Shard(Path(name), texts[:_RENDERED], {}, "fast").render()
    render = rendered.usage.seconds / (sum(len(text.encode()) for text in texts[:_RENDERED]) / 1e9)
    print(f"{len(texts):,} documents, {gigabytes:.2f} GB of text; to render a GB takes {render:,.0f} CPU s\n")
    print(f"{'per GB of text':16}{'processors':>12}{'wall s':>9}{'reader CPU s':>14}{'other CPU s':>13}", end="")
    print(*(f"{f'{cores} cores':>10}" for cores in _CORES), sep="")
    with tempfile.TemporaryDirectory() as name:
        for suffix in ("parquet", "jsonl"):
            folder = Path(name, suffix)
            write_source(folder, suffix, texts)
            alone = plan(folder, {0})
            for processors in (1, 2):
                found = alone if processors == 1 else plan(folder, {0, 1})
                shares = [f"{estimate_share(found, render * gigabytes, cores):10.1%}" for cores in _CORES]
                wall, reader, others = (seconds / gigabytes for seconds in found)
                print(f"{suffix:16}{processors:12}{wall:9.0f}{reader:14.0f}{others:13.0f}", end="")
                print(*([] if processors == 1 else shares), sep="", flush=True)


def repeat(prose: Sequence[str], size: int) -> list[str]:
    """Different documents of `size` bytes together: the same prose again and again, with a number."""
    texts: list[str] = []
    total = 0
    while total < size:
        text = f"{len(texts)}: {prose[len(texts) % len(prose)]}"
        texts.append(text)
        total += len(text.encode())
    return texts


def write_source(folder: Path, suffix: str, texts: Sequence[str]) -> None:
    folder.mkdir()
    path, summary = folder / f"train.{suffix}", "A summary of it."
    if suffix == "parquet":
        pq.write_table(pa.table({"text": texts, "summary": [summary] * len(texts)}), path, row_group_size=_ROW_GROUP)
        return
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text, "summary": summary}) + "\n" for text in texts)


def plan(source: Path, processors: set[int]) -> Planned:
    """Run the step in a fresh process that may use these processors."""
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder, "workload.json")
        settings = {
            "name": "pages",
            "namespace": "default",
            "uid": "1",
            "sourceName": "bench",
            "rowsPerShard": 2000,
            "source": {"uri": f"file://{source}"},
            "output": {"uri": f"file://{folder}/out"},
        }
        document.write_text(json.dumps(settings))
        done = subprocess.run(
            [sys.executable, "-c", _STEP, str(document)],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", "TMPDIR": folder},
            stdout=subprocess.PIPE,
            check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, processors),
        )
    return Planned(*json.loads(done.stdout.splitlines()[-1]))


def estimate_share(planned: Planned, render_seconds: float, cores: int) -> float:
    """Of the time of plan and render on idle cores. planned: with several processes."""
    plan_seconds = max(planned.reader, planned.others / min(MAX_PROCESSES, cores - 1))
    return plan_seconds / (plan_seconds + render_seconds / cores)


if __name__ == "__main__":
    main()
