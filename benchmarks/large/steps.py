"""What a measured process does, where it is not a command of a container."""

import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from deepsynth_api.workload import RenderWorkload, WorkloadDataset

READS: Final = 2000
_THREADS: Final = 4


def stage(document: Path, pages: Path, files: int, rows: int) -> None:
    """What the plan and render steps leave in staging: `files` shards of one file each, put one after the other.

    Prints the digest of the plan.
    """
    from deepsynth_api.v1alpha1.dataset_generation_status import PlannedSplit
    from deepsynth_render.documents.dataset_manifest import ManifestFile
    from deepsynth_render.documents.receipt import Receipt, data_path, receipt_path
    from deepsynth_render.documents.render_plan import PLAN_PATH, Look, PinnedSource, PlannedShard, RenderPlan
    from deepsynth_store import open_target
    from deepsynth_store.core.atomic import compute_sha256

    workload = RenderWorkload.parse(document.read_bytes())
    plan = RenderPlan(
        source=PinnedSource(
            uri=workload.source.uri, revision="0", columns=workload.source.columns, name="texts", language="en"
        ),
        look=Look(page=workload.page, compression="fast", max_shard_bytes=500_000_000, fonts={}, versions={}),
        filters=workload.filters,
        rows_per_shard=rows,
        splits=[PlannedSplit(name="train", rows=rows * files)],
        rows_read=rows * files,
        dropped=[],
        shards=[PlannedShard(split="train", documents=rows, rows_sha256="0" * 64)] * files,
    )
    digest, size = plan.compute_digest(), pages.stat().st_size
    target = open_target(workload.output.uri, digest)
    target.prepare()
    target.put({PLAN_PATH: plan.to_json()})
    sha256 = compute_sha256(pages)
    for shard in range(files):
        if workload.output.uri.startswith("hf://"):  # the Hub keeps equal files once
            with pages.open("r+b") as file:
                file.seek(size // 2)
                file.write(b"%08d" % shard)
            sha256 = compute_sha256(pages)
        path = data_path("train", shard, 0)
        receipt = Receipt(
            plan=digest,
            shard=shard,
            split="train",
            documents=rows,
            pages=rows,
            size=size,
            files=[ManifestFile(path=path, size=size, sha256=sha256, split="train", rows=rows)],
        )
        target.put({path: pages, receipt_path(shard): receipt.to_json()})
    print(digest)


def read_pages(uri: str, cache: Path, *, streamed: bool) -> None:
    """What a node does before and while it trains. Prints the seconds until it may begin, and milliseconds per page."""
    from deepsynth_train.data.dataset import choose_samples, open_data, save_samples
    from deepsynth_train.data.files.materialise import materialise, plan_datasets
    from deepsynth_train.data.selection.limits import Limits
    from deepsynth_train.models.build import build_page_model

    began = time.monotonic()
    dataset = WorkloadDataset(name="large", uri=uri, train_split="train")
    local = materialise(
        plan_datasets([dataset], cache), cache, lambda *_: None, may_stream=(lambda *_: True) if streamed else None
    )
    model = build_page_model(_build_settings())
    chosen = choose_samples(local, "ocr", model, Limits(None, None, 0), holdout={}, on_rows=lambda: None)
    save_samples(chosen, local, cache / "index")
    table = open_data(cache / "index", "ocr").train._table  # noqa: SLF001 - pages without a model
    ready = time.monotonic() - began
    rows = random.Random(1).choices(range(len(table)), k=READS)
    began = time.monotonic()
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda row: len(table.read_image(row, "a row")), rows))
    print(f"{ready:.1f} {(time.monotonic() - began) / READS * 1000:.2f}")


def _build_settings() -> Any:
    from deepsynth_api.v1alpha1 import TrainingSettings

    return TrainingSettings.model_validate(
        {"model": {"uri": "config://vit-gpt2-tiny"}, "precision": "fp32", "checkpoint": {"uri": "file:///nowhere"}}
    )


def main(step: str, arguments: Sequence[str]) -> None:
    if step == "stage":
        document, pages, files, rows = arguments
        stage(Path(document), Path(pages), int(files), int(rows))
    else:
        uri, cache = arguments
        read_pages(uri, Path(cache), streamed=step == "stream")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
