"""`make benchmark-operator ARGS="burst idle --runs 1000"`: without names all scenarios, with 100 runs in five minutes.

    creation     N runs at once, until each has its Job; the pods do not start
    burst        N runs at once, from creation to Complete
    paced        runs one after the other, RATE a second, from creation to Complete
    generations  DatasetGenerations of four shards at once, from creation to Complete
    idle         N runs that run, whose reports change from poll to poll
    restart      a new operator process, with all that the scenarios before have left

It needs root, as the development cluster does. Processor times and numbers of requests hardly depend on what else the
machine does; latencies do.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.scale.api_client import ApiClient
from benchmarks.scale.control_plane import NAMESPACE, run_control_plane
from benchmarks.scale.fake_kubelet import FakeKubelet
from benchmarks.scale.observer import Observer
from benchmarks.scale.scenarios import SCENARIOS, Options
from benchmarks.scale.stage import Stage
from benchmarks.scale.table import format_measurement


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"any of {', '.join(SCENARIOS)} (default: all)"
    )
    parser.add_argument("--runs", type=int, default=100, help="of creation, burst and idle (default: %(default)s)")
    parser.add_argument("--paced-runs", type=int, default=30, help="of paced (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=1.0, help="runs a second in paced (default: %(default)s)")
    parser.add_argument("--generations", type=int, default=10, help="(default: %(default)s)")
    parser.add_argument(
        "--finished",
        type=int,
        default=0,
        help="runs that were Complete before the first scenario (default: %(default)s)",
    )
    parser.add_argument("--nodes", type=int, default=1, help="spec.numNodes of each run (default: %(default)s)")
    parser.add_argument("--start", type=float, default=2.0, help="seconds until a pod runs (default: %(default)s)")
    parser.add_argument("--life", type=float, default=10.0, help="seconds that a pod runs (default: %(default)s)")
    parser.add_argument("--poll", type=int, default=15, help="DEEPSYNTH_POLL_SECONDS (default: %(default)s)")
    parser.add_argument(
        "--idle-seconds", type=float, default=60.0, help="how long idle measures (default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, help="DEEPSYNTH_WORKERS (default: the operator's)")
    parser.add_argument("--logs", type=Path, help="folder of the operator's log (default: a temporary one)")
    arguments = parser.parse_args()
    if unknown := set(arguments.scenarios) - set(SCENARIOS):
        parser.error(f"must be any of {', '.join(SCENARIOS)}, got {', '.join(sorted(unknown))}")
    return arguments


async def run(arguments: argparse.Namespace) -> None:
    if (task := asyncio.current_task()) is not None:  # SIGTERM too leaves nothing behind
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    options = Options(
        arguments.runs,
        arguments.paced_runs,
        arguments.rate,
        arguments.generations,
        arguments.start,
        arguments.life,
        arguments.idle_seconds,
    )
    logs = arguments.logs or Path(tempfile.mkdtemp(prefix="benchmark-operator-"))
    logs.mkdir(parents=True, exist_ok=True)
    print(f"the operator's log is in {logs}; load of the machine: {os.getloadavg()[0]:.1f}", flush=True)
    variables = {"DEEPSYNTH_WORKERS": str(arguments.workers)} if arguments.workers else {}
    with run_control_plane("benchmark-operator") as control_plane:
        async with ApiClient(control_plane.cluster) as api:
            kubelet, observer = FakeKubelet(api, NAMESPACE), Observer(api, NAMESPACE)
            stage = Stage(control_plane, api, kubelet, observer, logs, arguments.poll, arguments.nodes, variables)
            async with kubelet.work(), observer.watch():
                await stage.create_finished(arguments.finished)
                await stage.start_operator()
                try:
                    for name, measure in SCENARIOS.items():
                        if not arguments.scenarios or name in arguments.scenarios:
                            await stage.wait_for_empty_queue()
                            print(format_measurement(await measure(stage, options)), flush=True)
                finally:
                    await stage.stop_operator()
    print(f"\nload of the machine: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    sys.exit(asyncio.run(run(parse_arguments())))
