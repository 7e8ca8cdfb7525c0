"""`make benchmark-operator ARGS="burst idle --runs 1000"`: without names all scenarios, with 100 runs in five minutes.

    creation     N runs at once, until each has its Job; the pods do not start
    burst        N runs at once, from creation to Complete
    paced        runs one after the other, RATE a second, from creation to Complete
    generations  DatasetGenerations of four shards at once, from creation to Complete
    idle         N runs that run, whose reports change from poll to poll
    restart      a new operator process, with all that the scenarios before have left

`--peer` then gives creation, burst and paced to Kubeflow Trainer with JobSet, on the same control plane after our
resources were deleted and our operator has stopped, and prints both next to each other.

It needs root, as the development cluster does. Processor times and numbers of requests hardly depend on what else the
machine does; latencies do.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from benchmarks.scale.api_client import ApiClient
from benchmarks.scale.control_plane import ControlPlane, run_control_plane
from benchmarks.scale.fake_kubelet import FakeKubelet
from benchmarks.scale.observer import Observer
from benchmarks.scale.scenarios import SCENARIOS, WITH_PEERS, Options
from benchmarks.scale.stage import Stage
from benchmarks.scale.subjects import NAMESPACE, Subject, build_deepsynth, build_trainer
from benchmarks.scale.table import Measurement, format_comparison, format_measurement

from e2e.support.operator_process import OperatorProcess, run_operator


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
    parser.add_argument("--peer", action="store_true", help="measure Kubeflow Trainer with JobSet too")
    parser.add_argument("--workers", type=int, help="DEEPSYNTH_WORKERS (default: the operator's)")
    parser.add_argument("--logs", type=Path, help="folder of the operator's log (default: a temporary one)")
    arguments = parser.parse_args()
    if unknown := set(arguments.scenarios) - set(SCENARIOS):
        parser.error(f"must be any of {', '.join(SCENARIOS)}, got {', '.join(sorted(unknown))}")
    return arguments


async def run(arguments: argparse.Namespace) -> None:
    if (task := asyncio.current_task()) is not None:  # SIGTERM too leaves nothing behind
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    logs = arguments.logs or Path(tempfile.mkdtemp(prefix="benchmark-operator-"))
    logs.mkdir(parents=True, exist_ok=True)
    print(f"the operator's log is in {logs}; load of the machine: {os.getloadavg()[0]:.1f}", flush=True)
    wanted = arguments.scenarios or list(SCENARIOS)
    with run_control_plane("benchmark-operator") as control_plane:
        async with ApiClient(control_plane.cluster) as api:
            ours = build_deepsynth(partial(run_deepsynth, control_plane, logs, arguments))
            found = await measure(build_stage(ours, control_plane, api, arguments), arguments, wanted)
            if arguments.peer:
                peer = build_trainer(control_plane.cluster)
                stage = build_stage(peer, control_plane, api, arguments)
                peers = await measure(stage, arguments, [name for name in wanted if name in WITH_PEERS])
                for name, measured in peers.items():
                    print(format_comparison((ours.name, peer.name), found[name], measured))
    print(f"\nload of the machine: {os.getloadavg()[0]:.1f}")


def run_deepsynth(
    control_plane: ControlPlane, logs: Path, arguments: argparse.Namespace
) -> AbstractContextManager[OperatorProcess]:
    variables = {"DEEPSYNTH_POLL_SECONDS": str(arguments.poll)}
    if arguments.workers:
        variables["DEEPSYNTH_WORKERS"] = str(arguments.workers)
    return run_operator(control_plane.kubeconfig, logs / f"operator-{int(time.time())}.log", variables)


def build_stage(subject: Subject, control_plane: ControlPlane, api: ApiClient, arguments: argparse.Namespace) -> Stage:
    kubelet, observer = FakeKubelet(api, subject.namespace), Observer(api, subject)
    return Stage(subject, control_plane.audit_log, api, kubelet, observer, arguments.poll, arguments.nodes)


async def measure(stage: Stage, arguments: argparse.Namespace, wanted: Sequence[str]) -> dict[str, Measurement]:
    """These scenarios by name. What they leave behind is deleted before a peer is measured."""
    options = Options(
        arguments.runs,
        arguments.paced_runs,
        arguments.rate,
        arguments.generations,
        arguments.start,
        arguments.life,
        arguments.idle_seconds,
    )
    found: dict[str, Measurement] = {}
    is_first = stage.subject.namespace == NAMESPACE
    print(f"\n{stage.subject.name}")
    async with stage.kubelet.work(), stage.observer.watch():
        if is_first:
            await stage.create_finished(arguments.finished)
        await stage.start()
        try:
            for name, scenario in SCENARIOS.items():
                if name in wanted:
                    await stage.wait_for_empty_queue()
                    found[name] = await scenario(stage, options)
                    print(format_measurement(found[name]), flush=True)
            if arguments.peer and is_first:
                await stage.delete_all()
        finally:
            await stage.stop()
    return found


if __name__ == "__main__":
    sys.exit(asyncio.run(run(parse_arguments())))
