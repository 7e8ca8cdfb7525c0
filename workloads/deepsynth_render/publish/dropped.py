"""deepsynth/dropped.parquet: the dropped rows that the plan and render steps have staged, joined to one file."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from deepsynth_api.errors import DataError
from deepsynth_render.documents.dropped_rows import (
    DROPPED_PATH,
    PLAN_DROPPED_PATH,
    join_dropped_rows,
    shard_dropped_path,
)
from deepsynth_render.documents.receipt import Receipt
from deepsynth_render.documents.render_plan import RenderPlan
from deepsynth_store import DatasetTarget, StoredFile
from deepsynth_store.core.download import write_download
from deepsynth_store.core.ranged_file import read_parts


def join_dropped(target: DatasetTarget, plan: RenderPlan, receipts: Sequence[Receipt], folder: Path) -> dict[str, Path]:
    """Path in the dataset -> file below folder. Without rows it replaces the one of an earlier generation.

    Empty if an earlier version dropped rows and did not list them.
    """
    parts = [
        (PLAN_DROPPED_PATH, plan.dropped, plan.dropped_sha256),
        *((shard_dropped_path(entry.shard), entry.dropped, entry.dropped_sha256) for entry in receipts),
    ]
    listed = {path: sha256 for path, _, sha256 in parts if sha256 is not None}
    if any(dropped for path, dropped, _ in parts if path not in listed):
        return {}
    joined = folder / "dropped.parquet"
    join_dropped_rows(_fetch(target, listed, folder / "part.parquet"), joined)
    return {DROPPED_PATH: joined}


def _fetch(target: DatasetTarget, listed: dict[str, str], local_path: Path) -> Iterator[Path]:
    """One file at a time. Raises DataError if one is damaged: that of the plan step, those of shards were checked."""
    sizes = {file.path: file.size for file in target.list_staged()}  # once: some stores list all of staging each time
    for path, sha256 in listed.items():
        expected = StoredFile(path, sizes.get(path, 0), sha256)
        try:
            with target.open_staged(path) as file:
                write_download(read_parts(file), expected, local_path, target.uri, None)
        except DataError as error:
            raise DataError(
                f"{path} is not staged in {target.uri} as the plan step wrote it, so nothing was published; delete and "
                "re-apply the resource to plan again, finished shards are kept"
            ) from error
        yield local_path
