"""From the death of a training process to the next optimizer step: `make benchmark-restart`, a few minutes.

    python benchmarks/restart.py [--nodes 2] [--times 3]

A run of `deepsynth local` with two processes, on one node or on two, is hurt with SIGKILL again and again:

    in place   a worker dies: the launchers start the workers again in the same pods
    new Job    a launcher dies, and its pod with it: the controller ends the attempt, waits 10 s, and makes a new Job

Both in one run, in turn. On a cluster a new Job also waits for its pods to be deleted, scheduled and started, and its
first process for the files of the image. Times are seconds since the kill, the median of the deaths.

    gone       no process of the earlier workers is left
    started    the new workers exist: the launchers have agreed, or the pods of a new Job run and have met
    imported   libraries are imported, the ranks are connected
    data       model and data are ready
    step       the first optimizer step after the checkpoint is done
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

STAGES: Final = ("gone", "started", "imported", "data", "step")
PATIENCE: Final = 600.0
_PAUSE: Final = 0.02

RESOURCES: Final = """
apiVersion: deepsynth.io/v1alpha1
kind: DatasetGeneration
metadata: {{name: pages}}
spec:
  source: {{uri: "docstrings://", maxRowsPerSplit: 64}}
  filters: {{minTextChars: 1, minSummaryChars: 1}}
  page: {{size: 338x100, fontFamilies: [DejaVu Sans Mono], fontSizesPx: [20], lineHeight: "1.65", marginPx: 0}}
  output: {{uri: pvc://data/pages}}
---
apiVersion: deepsynth.io/v1alpha1
kind: TrainingRun
metadata: {{name: run}}
spec:
  model: {{uri: config://page-reader-small}}
  datasets: [{{name: pages, datasetGenerationRef: {{name: pages}}}}]
  task: ocr
  precision: fp32
  numNodes: {nodes}
  numProcPerNode: {processes}
  globalBatchSize: 4
  maxSteps: 1000000
  checkpoint: {{uri: pvc://checkpoints/run, everySteps: 20}}
  evaluation: {{everySteps: 1000000}}
  backoffLimit: 1000
"""


class Run:
    """A run of `deepsynth local`, and its processes as /proc shows them."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self._marker = f"DEEPSYNTH_LOCAL_RUNS={folder / 'runs'}".encode()
        (folder / "run.yaml").write_text(RESOURCES.format(nodes=nodes, processes=2 // nodes))
        command = [Path(sys.executable).with_name("deepsynth"), "local", "-f", folder / "run.yaml"]
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [*map(str, command), "--runs", str(folder / "runs")], stdout=log, stderr=log
            )

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait()

    def find(self, variable: str) -> dict[int, str]:
        """Its processes with this environment variable: process id -> value."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if self._marker in variables:
                values = [
                    item.decode().partition("=")[2] for item in variables if item.startswith(f"{variable}=".encode())
                ]
                found.update({int(entry.name): value for value in values})
        return found

    def find_workers(self) -> dict[int, str]:
        return self.find("RANK")

    def find_launchers(self) -> dict[int, str]:
        """Process id and report address of each: a launcher has no rank."""
        workers = self.find_workers()
        return {pid: address for pid, address in self.find("DEEPSYNTH_REPORT_ADDRESS").items() if pid not in workers}

    def read_report(self) -> Mapping[str, Any]:
        """What the node of rank 0 reports about its training; empty while there is none."""
        for address in self.find_launchers().values():
            try:
                with urllib.request.urlopen(f"http://{address}/report", timeout=5) as answer:
                    train: dict[str, Any] = json.load(answer).get("train") or {}
            except OSError:
                continue
            return train
        return {}

    def wait_until(self, holds: Callable[[], bool]) -> float:
        """The moment in which it holds."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the run ended, or does not continue")
            time.sleep(_PAUSE)
        return time.monotonic()

    def is_at_work(self, attempt: int) -> bool:
        """Whether this attempt has done a step and saved a checkpoint, so that it counts as progress."""
        report = self.read_report()
        resumed = report.get("resumedFromStep") or 0
        return report.get("attempt", 0) >= attempt and (report.get("savedStep") or 0) > resumed


def measure(run: Run, hurt: Callable[[], int]) -> dict[str, float]:
    """hurt: kills a process, and returns its id."""
    attempt, old = run.read_report()["attempt"] + 1, set(run.find_workers())
    begin = time.monotonic()
    hurt()

    def reached(*phases: str) -> bool:
        report = run.read_report()
        return report.get("attempt") == attempt and report.get("phase") in phases

    def has_stepped() -> bool:
        report = run.read_report()
        resumed = report.get("resumedFromStep")
        return report.get("attempt") == attempt and resumed is not None and report.get("step", 0) > resumed

    times = [
        run.wait_until(lambda: not old & set(run.find_workers())),
        run.wait_until(lambda: len(set(run.find_workers()) - old) == len(old)),
        run.wait_until(lambda: reached("download", "step", "evaluate", "save")),
        run.wait_until(lambda: reached("start", "step", "evaluate", "save")),
        run.wait_until(has_stepped),
    ]
    run.wait_until(lambda: run.is_at_work(attempt))
    return dict(zip(STAGES, (moment - begin for moment in times), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, choices=(1, 2), default=1)
    parser.add_argument("--times", type=int, default=3, help="deaths of each kind (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder).resolve(), options.nodes)
        try:
            run.wait_until(lambda: run.is_at_work(1))
            figures = _measure_all(run, options.times)
        finally:
            run.stop()
    _print(figures)


def _measure_all(run: Run, times: int) -> dict[str, list[dict[str, float]]]:
    def kill(find: Callable[[], Mapping[int, str]]) -> Callable[[], int]:
        def hurt() -> int:
            pid = max(find())
            os.kill(pid, signal.SIGKILL)
            return pid

        return hurt

    figures: dict[str, list[dict[str, float]]] = {"in place": [], "new Job": []}
    for _ in range(times):
        figures["in place"].append(measure(run, kill(run.find_workers)))
        figures["new Job"].append(measure(run, kill(run.find_launchers)))
    return figures


def _print(figures: Mapping[str, list[dict[str, float]]]) -> None:
    medians = {
        kind: {stage: statistics.median(death[stage] for death in deaths) for stage in STAGES}
        for kind, deaths in figures.items()
    }
    print(f"{'':10}" + "".join(f"{stage:>10}" for stage in STAGES))
    for kind, stages in medians.items():
        print(f"{kind:10}" + "".join(f"{stages[stage]:10.1f}" for stage in STAGES))
    print(f"a new Job takes {medians['new Job']['step'] / medians['in place']['step']:.1f} times as long")


if __name__ == "__main__":
    main()
