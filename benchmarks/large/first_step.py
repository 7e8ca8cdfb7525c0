"""Seconds and bytes from the start of an attempt to its first optimizer step: `make benchmark-first-step`.

    python -m benchmarks.large.first_step [--gigabytes 4] [--streamed-gigabytes 145] [--latency-ms 20] [--only WAY...]

Real attempts of a TrainingRun with a tiny model on the CPU, which are ended after their first step. The dataset is in
an object store on loopback that has one file of 500 MB under many names, and answers after `--latency-ms`.

    fetched     the dataset is copied to the node first
    cold, warm  with spec.cache.uri: the first attempt with an empty folder, and the next one
    streamed    with spec.cache.stream
    streamed    the same with a dataset that the disk cannot hold

Seconds since the start of the container's process:

    imported  libraries are imported, the ranks are connected     ready  model and data are ready
    step      the first optimizer step is done                    MB     that the store has sent until then
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

from benchmarks.large.files import write_pages
from benchmarks.large.store import BUCKET, EndlessStore, Template

FILE_BYTES: Final = 500_000_000
PATIENCE: Final = 3 * 3600.0
_PAUSE: Final = 0.05
_READY: Final = frozenset({"start", "step", "evaluate", "save", "publish"})
STAGES: Final = ("imported", "ready", "step")


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
        "uid": f"large-{time.monotonic_ns()}",
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


def measure(folder: Path, store: EndlessStore, document: Mapping[str, Any]) -> dict[str, float]:
    """Seconds until each stage, and the megabytes that the store has sent."""
    for name in ("checkpoints", "cache"):
        shutil.rmtree(folder / name, ignore_errors=True)
    path, port = folder / "workload.json", _find_free_port()
    path.write_text(json.dumps(document))
    environment = {
        **os.environ,
        **store.environment,
        "DEEPSYNTH_REPORT_ADDRESS": f"127.0.0.1:{port}",
        "DEEPSYNTH_CACHE": str(folder / "cache"),
        "TMPDIR": str(folder),
    }
    sent, began, times = store.sent, time.monotonic(), dict[str, float]()
    command = [sys.executable, "-m", "deepsynth_train", "--document", str(path)]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            while "step" not in times:
                if process.poll() is not None or time.monotonic() - began > PATIENCE:
                    sys.exit("the attempt ended before its first step:\n" + (folder / "log").read_text()[-3000:])
                for stage in _list_reached(_read_report(port)):
                    times.setdefault(stage, time.monotonic() - began)
                time.sleep(_PAUSE)
            return {**times, "MB": (store.sent - sent) / 1e6}
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=int, default=4, help="that the disk can hold twice (default: %(default)s)")
    parser.add_argument("--streamed-gigabytes", type=int, default=145, help="default: %(default)s")
    parser.add_argument("--latency-ms", type=float, default=20, help="of each request (default: %(default)s)")
    parser.add_argument("--only", nargs="*", default=["fetched", "cold", "warm", "streamed"], metavar="WAY")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder is deleted
    print(f"{'':10}{'GB':>5}" + "".join(f"{stage:>10}" for stage in (*STAGES, "MB")))
    with tempfile.TemporaryDirectory(prefix="benchmark-large-") as name:
        folder = Path(name).resolve()
        pages = folder / "pages.parquet"
        write_pages(pages, FILE_BYTES)
        with EndlessStore(latency=options.latency_ms / 1000) as store:
            template = Template(pages)
            kept = {"inputCache": {"uri": (folder / "inputs").as_uri(), "sizeBytes": 10**12}}
            small: dict[str, dict[str, Any]] = {"cold": kept, "warm": kept, "fetched": {}, "streamed": {"stream": True}}
            runs = [(way, options.gigabytes, small[way]) for way in options.only]
            if "streamed" in options.only:
                limit = {"stream": True, "cacheBytes": FILE_BYTES}
                runs.append(("streamed", options.streamed_gigabytes, limit))
            for way, gigabytes, settings in runs:
                uri = publish(store, template, gigabytes)
                took = measure(folder, store, build_document(folder, uri, **settings))
                figures = "".join(f"{took[stage]:10.1f}" for stage in (*STAGES, "MB"))
                print(f"{way:10}{gigabytes:5}{figures}", flush=True)


if __name__ == "__main__":
    main()
