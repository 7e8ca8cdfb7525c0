"""Memory and time to put a large dataset on a node's disk and to read pages of it at random: `make benchmark-large`.

The memory must not grow with the dataset: a small and a large one are measured in processes of their own. Anonymous
memory is what a pod's limit is about; mapped files count as page cache, which the kernel frees when it has to.

    python benchmarks/large_dataset.py [--gigabytes 20]

The files of the dataset are names of one file, so that it needs the room of the copy only.
"""

import argparse
import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

FILE_BYTES: Final = 500_000_000
"""As `rowsPerShard` gives with pages of a small size."""
PAGE_BYTES: Final = 60_000
READS: Final = 2000
SAMPLE_SECONDS: Final = 0.05


def write_dataset(folder: Path, files: int) -> None:
    """One parquet file of pages of random dots, under many names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, side = FILE_BYTES // PAGE_BYTES, int(PAGE_BYTES**0.5)
    dots = np.random.default_rng(1)
    schema = pa.schema(
        {
            "document_id": pa.string(),
            "page": pa.int32(),
            "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
            "text": pa.string(),
            "summary": pa.string(),
        }
    )
    first = folder / "data" / f"train-00000-of-{files:05d}.parquet"
    first.parent.mkdir(parents=True)
    with pq.ParquetWriter(first, schema, compression="none") as writer:
        for start in range(0, rows, 100):
            numbers = range(start, min(start + 100, rows))
            images = [{"bytes": draw(dots, side), "path": None} for _ in numbers]
            columns = [[f"row-{number}" for number in numbers], [0] * len(images), images]
            texts = [[f"Text of page {number}." for number in numbers], ["A summary."] * len(images)]
            writer.write_batch(pa.record_batch([*columns, *texts], schema=schema))
    for number in range(1, files):
        os.link(first, first.with_name(f"train-{number:05d}-of-{files:05d}.parquet"))


def draw(dots: np.random.Generator, side: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(dots.integers(0, 256, (side, side), np.uint8)).save(content, "png", compress_level=0)
    return content.getvalue()


def read_pages(folder: Path, cache: Path) -> None:
    """What a node does before and while it trains."""
    from deepsynth_api.workload import WorkloadDataset
    from deepsynth_train.data.files.materialise import materialise
    from deepsynth_train.data.files.page_table import PageTable

    dataset = WorkloadDataset(name="large", uri=folder.as_uri(), train_split="train")
    (local,) = materialise([dataset], cache, lambda *_: None)
    table = PageTable(local.train.files)
    chosen = random.Random(1)
    begin = time.monotonic()
    read = sum(len(table.read_image(chosen.randrange(len(table)), "a row")) for _ in range(READS))
    print(f"{len(table)} {read / READS:.0f} {(time.monotonic() - begin) / READS * 1000:.2f}")


def measure(folder: Path, cache: Path) -> tuple[float, int, Sequence[str]]:
    """Seconds, most anonymous memory in bytes, and what the process printed."""
    begin, most = time.monotonic(), 0
    command = [sys.executable, __file__, "--read", str(folder), str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            most = max(most, read_anonymous_bytes(process.pid))
            time.sleep(SAMPLE_SECONDS)
        printed = process.stdout.read().split() if process.stdout else []
    if process.returncode:
        raise SystemExit(process.returncode)
    return time.monotonic() - begin, most, printed


def read_anonymous_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=int, default=20, help="of the large dataset (default: %(default)s)")
    parser.add_argument("--read", nargs=2, type=Path, metavar=("FOLDER", "CACHE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read_pages(*arguments.read)
        return
    print(f"{'GB':>4}{'pages':>10}{'seconds':>9}{'MB/s':>7}{'anonymous MiB':>15}{'ms per page read':>18}")
    for gigabytes in (1, arguments.gigabytes):
        with tempfile.TemporaryDirectory(prefix="benchmark-large-") as name:
            folder = Path(name)
            files = max(gigabytes * 10**9 // FILE_BYTES, 1)
            write_dataset(folder / "dataset", files)
            seconds, most, (pages, _, read) = measure(folder / "dataset", folder / "cache")
            size = files * FILE_BYTES / 1e6
            print(f"{gigabytes:4}{pages:>10}{seconds:9.0f}{size / seconds:7.0f}{most / 2**20:15.0f}{read:>18}")
            shutil.rmtree(folder / "cache")


if __name__ == "__main__":
    main()
