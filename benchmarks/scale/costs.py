"""What a controller has cost between two moments: requests, reconciles, processor time, memory.

Requests are counted twice, independent of each other: by the operator's own metrics and by the API server's audit log.
Only one controller runs at a time.
"""

import json
import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.scale.subjects import Controller

_RECONCILES: Final = re.compile(r'^deepsynth_reconciles_total\{kind="(\w+)",result="(\w+)"\} (\S+)$', re.MULTILINE)
_DEPTH: Final = re.compile(r"^deepsynth_queue_depth (\S+)$", re.MULTILINE)
_WAIT: Final = re.compile(r"^deepsynth_queue_wait_seconds_(sum|count) (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Moment:
    """Counters as they are now."""

    time: float
    cpu: float
    own_requests: Counter[str]
    reconciles: Counter[str]
    wait_seconds: float
    waits: float
    audit_offset: int

    @classmethod
    def read(cls, controller: Controller, audit_log: Path) -> "Moment":
        """Blocks for as long as the controller takes to answer."""
        text = controller.read_metrics()
        reconciles: Counter[str] = Counter()
        for kind, result, count in _RECONCILES.findall(text):
            reconciles[f"{kind} {result}"] = int(float(count))
        waits = {name: float(value) for name, value in _WAIT.findall(text)}
        return cls(
            time.monotonic(),
            sum(map(read_cpu_seconds, controller.pids)),
            controller.count_requests(),
            reconciles,
            waits.get("sum", 0.0),
            waits.get("count", 0.0),
            audit_log.stat().st_size,
        )


@dataclass(frozen=True)
class Costs:
    """Between two moments of one controller."""

    seconds: float
    cpu: float
    requests: Counter[str]
    """From the audit log, such as `get jobs` and `patch trainingruns/status`."""
    own_requests: Counter[str]
    """From the operator's metrics; a peer has none."""
    failed_requests: Counter[str]
    """Those of `requests` that were not answered with 2xx, with their code."""
    reconciles: Counter[str]
    mean_wait: float
    """Seconds that resources waited for a worker."""
    memory: float
    peak_memory: float
    """MiB of its processes now, and their maximum so far."""

    @classmethod
    def compute(cls, before: Moment, controller: Controller, audit_log: Path) -> "Costs":
        after = Moment.read(controller, audit_log)
        requests, failed = count_audited(audit_log, before.audit_offset, after.audit_offset)
        waits = after.waits - before.waits
        return cls(
            after.time - before.time,
            after.cpu - before.cpu,
            requests,
            after.own_requests - before.own_requests,
            failed,
            after.reconciles - before.reconciles,
            (after.wait_seconds - before.wait_seconds) / waits if waits else 0.0,
            sum(read_mebibytes(pid, "VmRSS") for pid in controller.pids),
            sum(read_mebibytes(pid, "VmHWM") for pid in controller.pids),
        )


def count_audited(audit_log: Path, begin: int, end: int) -> tuple[Counter[str], Counter[str]]:
    """Requests between two offsets, and those of them that were refused. A watch counts when it ends."""
    with audit_log.open("rb") as file:
        file.seek(begin)
        lines = file.read(end - begin).splitlines()
    requests: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for line in lines:
        event = json.loads(line)
        target = event.get("objectRef", {})
        resource = "/".join(part for part in (target.get("resource"), target.get("subresource")) if part)
        name = f"{event['verb']} {resource or event['requestURI'].partition('?')[0]}"
        requests[name] += 1
        if (code := event.get("responseStatus", {}).get("code", 200)) >= 300:
            failed[f"{name} {code}"] += 1
    return requests, failed


def read_queue_depth(metrics: str) -> int:
    """How many resources wait for a worker."""
    found = _DEPTH.search(metrics)
    return int(float(found[1])) if found else 0


def read_cpu_seconds(pid: int) -> float:
    """User and system time of a process since it started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_mebibytes(pid: int, field: str) -> float:
    match = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) / 1024 if match else 0.0
