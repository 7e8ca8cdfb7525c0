"""Memory and throughput of each step with a dataset that is larger than the disk: `make benchmark-large`.

    python -m benchmarks.large [STEP...] [--gigabytes 20] [--disk-gigabytes 10]

Each step runs with a small and a large dataset, in a control group with a limit of 1 GiB, as in a pod with that limit:

    plan-parquet  plan-jsonl     plan a generation whose source is in an object store
    render                       render one shard of the source in parquet files
    stage-s3  -hub  -folder      stage the shards, as render pods do
    publish-s3  -hub  -folder    verify all shards and publish them
    materialise                  fetch a dataset from an object store to the disk, and read pages of it at random
    stream                       the same, with pages left in the store

The store is on loopback. It has one file under many names, and compares what is written with that file, so nothing but
`materialise` and the folder need the disk: those have a size of their own. anonymous: memory that the kernel cannot
free, at most, of the process and its children. It must not grow with the dataset.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.large.files import write_json_texts, write_pages, write_parquet_texts
from benchmarks.large.limited import Measured, measure
from benchmarks.large.store import BUCKET, EndlessStore, Template

from deepsynth_store.core.atomic import compute_sha256
from support.store.hub_server.server import HubServer

PAGES_FILE_BYTES: Final = 500_000_000
"""The default of spec.output.maxShardBytes."""
TEXTS_FILE_BYTES: Final = 100_000_000
SMALL_GIGABYTES: Final = 1
_HUB_PLACE: Final = "hf://datasets/someone/large"


class OneContent(dict[str, bytes]):
    """Keeps the hash of every upload, and the content of one of them."""

    def __setitem__(self, oid: str, content: bytes) -> None:
        same = next((kept for kept in self.values() if len(kept) == len(content)), None)
        super().__setitem__(oid, content if same is None or len(content) < PAGES_FILE_BYTES // 2 else same)


class Bench:
    """The servers, and the files that they serve, in a folder that is deleted at the end."""

    def __init__(self, folder: Path, store: EndlessStore, hub: HubServer) -> None:
        self.folder, self.store = folder, store
        self._hub = hub
        hub.hub.objects = OneContent()
        self.pages = folder / "pages.parquet"
        self.rows = write_pages(self.pages, PAGES_FILE_BYTES)
        self._texts = {"parquet": folder / "texts.parquet", "jsonl": folder / "texts.jsonl"}
        write_parquet_texts(self._texts["parquet"], TEXTS_FILE_BYTES)
        write_json_texts(self._texts["jsonl"], TEXTS_FILE_BYTES)
        self._templates = {kind: Template(path, numbered=True) for kind, path in self._texts.items()}
        self._page_template = Template(self.pages)
        self._sha256 = compute_sha256(self.pages)

    def serve_texts(self, kind: str, gigabytes: int) -> str:
        """The URI of a source of this size."""
        files = gigabytes * 10**9 // TEXTS_FILE_BYTES
        for number in range(files):
            self.store.add(f"texts-{kind}-{gigabytes}/train-{number:05}.{kind}", self._templates[kind], number)
        return f"s3://{BUCKET}/texts-{kind}-{gigabytes}"

    def serve_pages(self, gigabytes: int) -> str:
        prefix, listing = f"pages-{gigabytes}", []
        for number in range(gigabytes * 10**9 // PAGES_FILE_BYTES):
            path = f"data/train-{number:05}.parquet"
            self.store.add(f"{prefix}/{path}", self._page_template)
            listing.append({"path": path, "size": self._page_template.size, "sha256": self._sha256})
        self.store.put(f"{prefix}/deepsynth/manifest.json", json.dumps({"files": listing}).encode())
        return f"s3://{BUCKET}/{prefix}"

    def expect_pages(self) -> None:
        """Have the store recognise the file of pages when it is written."""
        self.store.add("known/pages.parquet", self._page_template)

    def run(self, command: list[str], **variables: str) -> Measured:
        environment = {
            **os.environ,
            **self.store.environment,
            "HF_ENDPOINT": self._hub.url,
            "HF_TOKEN": self._hub.token,
            "HF_HOME": str(self.folder / "hub-cache"),
            "TMPDIR": str(self.folder),
            **variables,
        }
        return measure([sys.executable, "-m", *command], environment)

    def write_document(self, uri: str, output: str, plan: Mapping[str, Any] | None = None) -> str:
        """The document of a DatasetGeneration's container."""
        document = {
            "name": "large",
            "namespace": "default",
            "uid": "large",
            "source": {"uri": uri},
            "sourceName": "texts",
            "output": {"uri": output, "compression": "fast"},
            "plan": plan,
        }
        path = self.folder / "document.json"
        path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))
        return str(path)

    def plan(self, kind: str, gigabytes: int) -> tuple[Measured, str, Mapping[str, Any]]:
        """What it took, the document's output, and the plan as status has it."""
        output = f"s3://{BUCKET}/planned-{kind}-{gigabytes}"
        report = self.folder / "report.json"
        document = self.write_document(self.serve_texts(kind, gigabytes), output)
        took = self.run(["deepsynth_render", "plan", "--document", document], DEEPSYNTH_TERMINATION_LOG=str(report))
        found = json.loads(report.read_text())["plan"]
        return took, output, {name: found[name] for name in ("digest", "revision", "shards")}


def measure_plan(bench: Bench, kind: str, gigabytes: int) -> Iterator[tuple[str, Measured]]:
    took, output, plan = bench.plan(kind, gigabytes)
    yield f"plan-{kind}", took
    if kind == "parquet":
        document = bench.write_document(bench.serve_texts(kind, gigabytes), output, plan)
        command = ["deepsynth_render", "render", "--document", document]
        yield "render", bench.run(command, JOB_COMPLETION_INDEX=str(int(plan["shards"]) - 1))


def measure_publish(bench: Bench, place: str, gigabytes: int) -> Iterator[tuple[str, Measured]]:
    bench.expect_pages()
    folder = bench.folder / "published"
    outputs = {
        "s3": f"s3://{BUCKET}/published-{gigabytes}",
        "hub": f"{_HUB_PLACE}-{gigabytes}",
        "folder": folder.as_uri(),
    }
    files = gigabytes * 10**9 // PAGES_FILE_BYTES
    pages = bench.folder / "shard.parquet"
    shutil.copyfile(bench.pages, pages)
    document = bench.write_document("docstrings://", outputs[place])
    try:
        staged = bench.run(["benchmarks.large.steps", "stage", document, str(pages), str(files), str(bench.rows)])
        yield f"stage-{place}", staged
        plan = {"digest": staged.printed[0], "revision": "0", "shards": files}
        document = bench.write_document("docstrings://", outputs[place], plan)
        yield f"publish-{place}", bench.run(["deepsynth_render", "publish", "--document", document])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure_reading(bench: Bench, step: str, gigabytes: int) -> Iterator[tuple[str, Measured]]:
    cache = bench.folder / "cache"
    try:
        yield step, bench.run(["benchmarks.large.steps", step, bench.serve_pages(gigabytes), str(cache)])
    finally:
        shutil.rmtree(cache, ignore_errors=True)


Step = Callable[[Bench, str, int], Iterator[tuple[str, Measured]]]
STEPS: Final[Mapping[str, tuple[Step, str]]] = {
    "plan-parquet": (measure_plan, "parquet"),
    "plan-jsonl": (measure_plan, "jsonl"),
    "publish-s3": (measure_publish, "s3"),
    "publish-hub": (measure_publish, "hub"),
    "publish-folder": (measure_publish, "folder"),
    "materialise": (measure_reading, "materialise"),
    "stream": (measure_reading, "stream"),
}
"""By name: what measures it. A step that needs another one's result is measured with it."""
ON_DISK: Final = frozenset({"publish-folder", "materialise"})


@contextmanager
def open_bench() -> Iterator[Bench]:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder is deleted
    with tempfile.TemporaryDirectory(prefix="benchmark-large-") as folder, EndlessStore() as store, HubServer() as hub:
        yield Bench(Path(folder).resolve(), store, hub)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"{', '.join(STEPS)}; default: all")
    parser.add_argument("--gigabytes", type=int, default=20, help="of the large dataset (default: %(default)s)")
    parser.add_argument(
        "--disk-gigabytes", type=int, default=10, help="where the disk must hold all of it (default: %(default)s)"
    )
    options = parser.parse_args()
    if unknown := {*options.steps} - {*STEPS}:
        parser.error(f"unknown step {min(unknown)}")
    print(f"{'':16}{'GB':>5}{'seconds':>9}{'MB/s':>7}{'anonymous MiB':>15}  printed")
    with open_bench() as bench:
        for name in options.steps or STEPS:
            step, argument = STEPS[name]
            large = options.disk_gigabytes if name in ON_DISK else options.gigabytes
            for gigabytes in (SMALL_GIGABYTES, large):
                for part, took in step(bench, argument, gigabytes):
                    print(
                        f"{part:16}{gigabytes:5}{took.seconds:9.0f}{gigabytes * 1e3 / took.seconds:7.0f}"
                        f"{took.anonymous / 2**20:15.0f}  {' '.join(took.printed)[:40]}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
