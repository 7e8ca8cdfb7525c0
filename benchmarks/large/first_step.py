"""Seconds and bytes from the start of an attempt to its first optimizer step: `make benchmark-first-step`.

    python -m benchmarks.large.first_step [WAY...] [--gigabytes 4] [--streamed-gigabytes 145] [--latency-ms 20]

Real attempts of a TrainingRun with a tiny model on the CPU, which are ended after their first step, in a control group
with a limit of memory as that of a pod. The dataset is in an object store on loopback that has one file of 500 MB under
many names, and answers after `--latency-ms`.

    fetched     the dataset is copied to the node first
    cold, warm  with spec.cache.uri: the first attempt with an empty folder, and the next one
    streamed    with spec.cache.stream
    again       the next attempt of that run, on a node that has nothing of it
    large, large-again     the same two with a dataset that the disk cannot hold

Until the first optimizer step, in seconds since the start of the container's process:

    imported  libraries are imported, the ranks are connected     ready  model and data are ready
    step      the first optimizer step is done
    CPU       seconds of all processes                            MiB    memory that the kernel cannot free, at most
    MB        that the store has sent                             requests    that it has answered
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.large.files import PAGE_BYTES, write_pages
from benchmarks.large.limited import make_group
from benchmarks.large.store import BUCKET, EndlessStore, Template

FILE_BYTES: Final = 500_000_000
PATIENCE: Final = 3 * 3600.0
_PAUSE: Final = 0.05
_READY: Final = frozenset({"start", "step", "evaluate", "save", "publish"})
STAGES: Final = ("imported", "ready", "step")
FIGURES: Final = (*STAGES, "CPU", "MiB", "MB", "requests")


def publish(store: EndlessStore, template: Template, gigabytes: int) -> str:
    """The URI of a dataset of this size, with a single split. Without a manifest: a cache keeps files of the same hash
    once.
    """
    prefix = f"pages-{gigabytes}"
    for number in range(max(1, gigabytes * 10**9 // FILE_BYTES)):
        store.add(f"{prefix}/data/train-{number:05}.parquet", template, number)
    return f"s3://{BUCKET}/{prefix}"


def build_document(folder: Path, uri: str, **settings: Any) -> dict[str, Any]:
    return {
        "kind": "Train",
        "name": "large",
        "namespace": "default",
        "uid": "large",
        "datasets": [{"name": "large", "uri": uri}],
        "task": "ocr",
        "model": {"uri": "config://vit-gpt2-tiny"},
        "precision": "fp32",
        "globalBatchSize": 8,
        "maxSteps": 1000,
        "numNodes": 1,
        "numProcPerNode": 1,
        "attempt": 1,
        "fingerprint": "f" * 64,
        "checkpoint": {"uri": (folder / "checkpoints").as_uri()},
        "outputUri": (folder / "model").as_uri(),
        "evaluation": {"holdoutPercent": 0},
        **settings,
    }


def measure(
    folder: Path, store: EndlessStore, document: Mapping[str, Any], limit: int, log: Path | None
) -> dict[str, float]:
    """The figures by name. limit: bytes of memory. log: is given what the attempt prints, at its end."""
    for name in ("cache", *(["checkpoints"] if document["attempt"] == 1 else [])):
        shutil.rmtree(folder / name, ignore_errors=True)
    path, port, printed = folder / "workload.json", _find_free_port(), folder / "log"
    path.write_text(json.dumps(document))
    environment = {
        **os.environ,
        **store.environment,
        "DEEPSYNTH_REPORT_ADDRESS": f"127.0.0.1:{port}",
        "DEEPSYNTH_CACHE": str(folder / "cache"),
        "TMPDIR": str(folder),
    }
    sent, requests, began, most, times = store.sent, store.requests, time.monotonic(), 0, dict[str, float]()
    command = [sys.executable, "-m", "deepsynth_train", "--document", str(path)]
    with (
        make_group(limit) as group,
        printed.open("w") as output,
        subprocess.Popen(group.join(command), env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            while "step" not in times:
                if process.poll() is not None or time.monotonic() - began > PATIENCE:
                    sys.exit("the attempt ended before its first step:\n" + printed.read_text()[-3000:])
                most = max(most, group.read_anonymous())
                for stage in _list_reached(_read_report(port)):
                    times.setdefault(stage, time.monotonic() - began)
                time.sleep(_PAUSE)
            return {
                **times,
                "CPU": group.read_cpu_seconds(),
                "MiB": most / 2**20,
                "MB": (store.sent - sent) / 1e6,
                "requests": store.requests - requests,
            }
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            group.kill()
            if log:
                shutil.copyfile(printed, log)


def _list_reached(train: Mapping[str, Any]) -> list[str]:
    """Stages that a report shows to be done. The phase is `start` before the workers have reported, and once more."""
    phase = train.get("phase", "start")
    is_ready = phase in {"step", "evaluate", "save"}
    return [stage for stage, done in zip(STAGES, (phase != "start", is_ready, train.get("step")), strict=True) if done]


def _read_report(port: int) -> Mapping[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/report", timeout=5) as answer:
            train: dict[str, Any] = json.load(answer).get("train") or {}
    except OSError:
        return {}
    return train


def _find_free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def list_runs(options: argparse.Namespace, folder: Path) -> list[tuple[str, int, dict[str, Any]]]:
    """Name, size in GB, and settings of each attempt."""
    small, large = options.gigabytes, options.streamed_gigabytes
    kept = {"inputCache": {"uri": (folder / "inputs").as_uri(), "sizeBytes": 10**12}}
    limited = {"stream": True, "cacheBytes": FILE_BYTES}
    ways: dict[str, tuple[int, dict[str, Any]]] = {
        "fetched": (small, {}),
        "cold": (small, {**kept, "uid": "cold"}),
        "warm": (small, {**kept, "uid": "warm"}),
        "streamed": (small, {"stream": True}),
        "again": (small, {"stream": True, "attempt": 2}),
        "large": (large, limited),
        "large-again": (large, {**limited, "attempt": 2}),
    }
    return [(way, *ways[way]) for way in options.ways or ways]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", metavar="WAY", help="default: all")
    parser.add_argument("--gigabytes", type=int, default=4, help="that the disk can hold twice (default: %(default)s)")
    parser.add_argument("--streamed-gigabytes", type=int, default=145, help="default: %(default)s")
    parser.add_argument("--latency-ms", type=float, default=20, help="of each request (default: %(default)s)")
    parser.add_argument("--page-bytes", type=int, default=PAGE_BYTES, help="default: %(default)s")
    parser.add_argument("--characters", type=int, default=1500, help="of text of a page (default: %(default)s)")
    parser.add_argument("--memory-mib", type=int, default=4096, help="limit (default: %(default)s)")
    parser.add_argument("--log", type=Path, help="file for what the last attempt prints")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder is deleted
    print(f"{'':12}{'GB':>5}" + "".join(f"{name:>10}" for name in FIGURES))
    with tempfile.TemporaryDirectory(prefix="benchmark-large-") as name:
        folder = Path(name).resolve()
        pages = folder / "pages.parquet"
        write_pages(pages, FILE_BYTES, options.page_bytes, options.characters)
        with EndlessStore(latency=options.latency_ms / 1000) as store:
            template = Template(pages)
            for way, gigabytes, settings in list_runs(options, folder):
                document = build_document(folder, publish(store, template, gigabytes), **settings)
                took = measure(folder, store, document, options.memory_mib * 2**20, options.log)
                figures = "".join(f"{took[figure]:10,.1f}" for figure in FIGURES)
                print(f"{way:12}{gigabytes:5}{figures}", flush=True)


if __name__ == "__main__":
    main()
