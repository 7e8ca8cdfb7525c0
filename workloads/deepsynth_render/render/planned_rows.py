"""The planned rows of one shard, from staging, and what they say themselves while there is no plan."""

from pathlib import Path

from deepsynth_render.documents.plan_rows import read_rows_header
from deepsynth_render.documents.render_draft import RenderDraft
from deepsynth_render.documents.render_plan import PageInputs, PlannedShard, rows_path
from deepsynth_store import DatasetTarget, StoredFile
from deepsynth_store.core.atomic import compute_sha256
from deepsynth_store.core.download import write_download
from deepsynth_store.core.ranged_file import read_parts


def fetch_rows(target: DatasetTarget, shard: int, folder: Path, sha256: str | None = None) -> Path:
    """The file of the shard's rows, below folder. Raises DataError if it is missing or has another sha256."""
    path = rows_path(shard)
    local_path = folder / Path(path).name
    size = next((file.size for file in target.list_staged(path)), 0)
    with target.open_staged(path) as file:
        write_download(read_parts(file), StoredFile(path, size, sha256), local_path, target.uri, None)
    return local_path


def describe_rows(draft: RenderDraft, rows: Path) -> tuple[PageInputs, PlannedShard]:
    """What the plan will say about the shard of these rows. Raises DataError if they are damaged."""
    header, documents = read_rows_header(rows)
    source_split = header.source_split or header.split
    configs = [
        config.updated(rows={source_split: header.config_rows.get(config.name, 0)})
        for config in draft.source.configs or ()
    ]
    planned = PlannedShard(
        split=header.split,
        source_split=header.source_split,
        documents=documents,
        rows_sha256=compute_sha256(rows),
    )
    return draft.updated(source=draft.source.updated(configs=configs or None)), planned
