"""`make benchmark-admission`: what the CEL rules of the CRD cost the API server at each write of a run's status.

The API server evaluates every rule of a resource at every write, those of spec also when only status changes. One run
on a control plane gets many status writes, one after the other, as the operator makes them while it trains; the CRD
is exchanged in between. It needs root, as the development cluster does. Processor times hardly depend on what else
the machine does.
"""

import argparse
import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from benchmarks.scale.api_client import ApiClient, build_path
from benchmarks.scale.control_plane import run_control_plane
from benchmarks.scale.costs import read_cpu_seconds
from benchmarks.scale.subjects import NAMESPACE

from deepsynth_api.crd.schema import build_crd
from e2e.support.resources import build_run

NAME: Final = "measured"
RULES: Final = "x-kubernetes-validations"
SECONDS: Final = 4.0
"""Until the API server uses an exchanged CRD."""
WARM_UP: Final = 50


def remove_rules(schema: Any) -> Any:
    """The schema without rules anywhere."""
    if isinstance(schema, Mapping):
        return {key: remove_rules(value) for key, value in schema.items() if key != RULES}
    return [remove_rules(item) for item in schema] if isinstance(schema, list) else schema


def build_variants() -> dict[str, dict[str, Any]]:
    crd = build_crd("TrainingRun")
    without_changes = build_crd("TrainingRun")
    del without_changes["spec"]["versions"][0]["schema"]["openAPIV3Schema"][RULES]
    return {"no rules": remove_rules(crd), "without the rule about changes": without_changes, "all rules": crd}


async def write_status(api: ApiClient, count: int) -> None:
    path, begin = build_path("TrainingRun", NAMESPACE, NAME) + "/status", datetime(2026, 1, 1, tzinfo=UTC)
    for step in range(count):
        now = (begin + timedelta(seconds=step)).strftime("%Y-%m-%dT%H:%M:%SZ")
        await api.patch(path, {"status": {"progress": {"step": step, "updatedTime": now}, "savedStep": step}})


async def measure(writes: int, rounds: int) -> None:
    variants = build_variants()
    spent = dict.fromkeys(variants, 0.0)
    with run_control_plane("benchmark-admission") as control_plane:
        (server,) = control_plane.cluster.control_plane.machine.processes_of("kube-apiserver")
        async with ApiClient(control_plane.cluster) as api:
            await api.create(build_path("TrainingRun", NAMESPACE), build_run(NAME))
            start = {"state": "Running", "startTime": "2026-01-01T00:00:00Z"}
            await api.patch(build_path("TrainingRun", NAMESPACE, NAME) + "/status", {"status": start})
            for _ in range(rounds):
                for name, crd in variants.items():
                    control_plane.cluster.kubectl(
                        "apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(crd)
                    )
                    await asyncio.sleep(SECONDS)
                    await write_status(api, WARM_UP)
                    before = read_cpu_seconds(server)
                    await write_status(api, writes)
                    spent[name] += read_cpu_seconds(server) - before
    least = spent["no rules"]
    print(f"{'':32}{'CPU-ms per write':>18}{'/ no rules':>12}")
    for name, seconds in spent.items():
        print(f"{name:32}{seconds / writes / rounds * 1000:18.1f}{seconds / least:12.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writes", type=int, default=300, help="in each round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.writes, arguments.rounds))


if __name__ == "__main__":
    main()
