"""`python -m deepsynth_chaos --seed S --kills N`: exit code 0 if every invariant held, 1 if not."""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final, get_args

from deepsynth_chaos.campaign import Campaign, Result
from deepsynth_chaos.plan import FaultName, draw_plan
from deepsynth_cluster.clusters.selection import temporary_cluster

CRDS: Final = Path(__file__).parents[2] / "crds"


def main() -> int:
    parser = argparse.ArgumentParser(prog="deepsynth_chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed gives the same faults (default: %(default)s)"
    )
    parser.add_argument("--kills", type=int, default=50, help="number of faults (default: %(default)s)")
    parser.add_argument("--only", nargs="*", choices=get_args(FaultName), default=[], help="only these faults")
    parser.add_argument("--name", default="chaos", help="name of the cluster (default: %(default)s)")
    options = parser.parse_args()
    plan = draw_plan(options.seed, options.kills, tuple(options.only))
    folder = Path(tempfile.mkdtemp(prefix="deepsynth-chaos-"))
    print(f"seed {options.seed}, {options.kills} faults; logs of the operators in {folder}", flush=True)
    with temporary_cluster(options.name, nodes=0) as cluster:
        result = Campaign(cluster, folder, lambda line: print(line, flush=True)).run(plan, CRDS)
    print(describe(result), flush=True)
    return 1 if result.violations else 0


def describe(result: Result) -> str:
    lines = [f"{result.faults} faults ({result.missed} hit nothing) in {result.seconds:.0f} s; ends: {result.finished}"]
    for fault, times in sorted(result.takeovers.items()):
        lines.append(
            f"{fault}: {len(times)} takeovers, median {statistics.median(times):.1f} s, most {max(times):.1f} s"
        )
    lines.append(f"exit codes of operators: {sorted(result.exit_codes)}")
    lines.append(f"{len(result.violations)} violations")
    return "\n".join([*lines, *result.violations])


if __name__ == "__main__":
    sys.exit(main())
