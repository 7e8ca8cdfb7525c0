"""How close `deepsynth cost -f FILE` comes: `make benchmark-costs`.

    python benchmarks/cost_estimate.py [--steps 400]

A user's way. First a trial: a few hundred documents, and 50 steps on them. Then the estimate for the demo, before it
runs, from the trial (or from two samples, with --calibrate). Then the demo, and what its status shows: `usage.cost`.
It fails if the total differs by more than a fifth, or is outside the printed range. Prices are of 1 for a CPU-hour;
each pod requests one CPU per process. What else the machine does at the same time counts, so leave it alone.
"""

import argparse
import copy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from deepsynth_render.sources.docstrings import DocstringSource

ROOT: Final = Path(__file__).parents[1]
MAX_ERROR: Final = 0.2
PRICES: Final = {"currency": "USD", "entries": [{"perHour": {"cpu": 1}}]}
TRIAL_STEPS: Final = 50
TRIAL_ROWS: Final = 200
Resource = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400, help="of the run; the demo has 1600 (default %(default)s)")
    parser.add_argument("--calibrate", action="store_true", help="estimate the generation from two samples")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = compare(Path(folder), arguments.steps, calibrate=arguments.calibrate)
    print("\n".join(lines))
    if not lines[-1].endswith("ok"):
        sys.exit(1)


def compare(folder: Path, steps: int, *, calibrate: bool) -> list[str]:
    """The lines to print: estimate, range, actual cost and error of each resource, and of the total last."""
    demo = build_demo(steps)
    write(folder / "prices.yaml", [PRICES])
    write(folder / "trial.yaml", build_trial(demo))
    write(folder / "demo.yaml", demo)
    deepsynth(folder, "local", "-f", "trial.yaml", "--prices", "prices.yaml")
    options = ["--documents", str(count_documents()), *(["--calibrate"] if calibrate else [])]
    printed = deepsynth(folder, "cost", "--local", "-f", "demo.yaml", "--prices", "prices.yaml", *options)
    print(printed)
    deepsynth(folder, "local", "-f", "demo.yaml", "--prices", "prices.yaml")
    estimates = {
        cells[0]: list(map(float, cells[1:4])) for line in printed.splitlines() if is_row(cells := line.split())
    }
    actual = {name: read_cost(folder, name) for name in estimates if name != "total"}
    actual["total"] = sum(actual.values())
    header = f"{'':36}{'estimate':>10}{'from':>10}{'to':>10}{'actual':>10}{'error':>8}"
    return [header, *(format_line(name, estimates[name], actual[name]) for name in estimates)]


def build_demo(steps: int) -> list[Resource]:
    """examples/demo.yaml with requests, and with as many evaluations and checkpoints for any number of steps."""
    generation, run = yaml.safe_load_all((ROOT / "examples/demo.yaml").read_text())
    generation["spec"]["template"] = {"resources": {"requests": {"cpu": 1}}}
    spec = run["spec"]
    spec["resourcesPerNode"] = {"requests": {"cpu": spec["numProcPerNode"]}}
    spec["maxSteps"] = steps
    spec["evaluation"]["everySteps"] = spec["checkpoint"]["everySteps"] = steps // 2
    return [generation, run]


def build_trial(demo: Sequence[Resource]) -> list[Resource]:
    generation, run = copy.deepcopy(list(demo))
    generation["metadata"]["name"] = run["metadata"]["name"] = "trial"
    generation["spec"]["source"]["maxRowsPerSplit"] = TRIAL_ROWS
    generation["spec"]["output"]["uri"] = "pvc://trial/pages"
    run["spec"]["datasets"][0]["datasetGenerationRef"]["name"] = "trial"
    run["spec"]["maxSteps"] = TRIAL_STEPS
    run["spec"]["checkpoint"]["uri"] = "pvc://trial/checkpoints"
    return [generation, run]


def count_documents() -> int:
    """Rows of the source, as a user knows them of the own data: some of them will be dropped."""
    source = DocstringSource()
    return sum(1 for split in source.splits for group in source.read(split) for _ in group.rows)


def write(path: Path, documents: Sequence[Mapping[str, Any]]) -> None:
    path.write_text(yaml.safe_dump_all(documents))


def deepsynth(folder: Path, *words: str) -> str:
    """What the command prints. Raises CalledProcessError when it fails."""
    command = [sys.executable, "-m", "deepsynth", *words]
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def is_row(cells: Sequence[str]) -> bool:
    return len(cells) > 4 and cells[4] == PRICES["currency"]


def read_cost(folder: Path, name: str) -> float:
    kind, _, resource = name.partition("/")
    status = yaml.safe_load((folder / "deepsynth-runs" / f"{kind}s" / f"{resource}.yaml").read_text())["status"]
    return float(status["usage"]["cost"]["amount"])


def format_line(name: str, estimate: Sequence[float], actual: float) -> str:
    expected, low, high = estimate
    error = expected / actual - 1
    is_good = abs(error) <= MAX_ERROR and low <= actual <= high
    numbers = "".join(f"{value:10.4f}" for value in (*estimate, actual))
    return f"{name:36}{numbers}{error:+8.0%}  {'ok' if is_good else 'off'}"


if __name__ == "__main__":
    main()
