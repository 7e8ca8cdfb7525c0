"""Small datasets to stage and publish, with the files that readers must find afterwards."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

from deepsynth_store import MANIFEST, README, DatasetTarget
from deepsynth_store.core.interface import OWN_FOLDER

CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
---
Pages.
"""


NOTE = f"{OWN_FOLDER}note.txt"
"""A file about the dataset, which no manifest lists."""


@dataclass(frozen=True)
class Generation:
    """staged: staging path -> content, receipts after their shards. expected: what the published dataset holds."""

    digest: str
    staged: Mapping[str, bytes]
    copies: Mapping[str, str]
    files: Mapping[str, bytes]

    @property
    def expected(self) -> dict[str, bytes]:
        return {**{path: self.staged[source] for path, source in self.copies.items()}, **self.files}

    def render(self, target: DatasetTarget) -> None:
        """Stage each shard with its receipt, unless the receipt is there already."""
        present = {file.path for file in target.list_staged("receipts/")}
        for shard, receipt in zip(self.copies.values(), self._receipts(), strict=True):
            if receipt not in present:
                target.put({shard: self.staged[shard], receipt: self.staged[receipt]})

    def run(self, target: DatasetTarget) -> str:
        """Do what the three steps do, from the start or from the point at which an earlier run was killed."""
        if (published := target.published()) and published.manifest == self.files[MANIFEST]:
            return target.publish(self.copies, self.files)
        target.prepare()
        self.render(target)
        return target.publish(self.copies, self.files)

    def _receipts(self) -> list[str]:
        return [path for path in self.staged if path.startswith("receipts/")]


def build_generation(name: str, shards: int = 2, rows: int = 20, *, as_parquet: bool = False) -> Generation:
    """A generation whose rows all contain `name`, so that a mixture of two generations is noticed.

    as_parquet: real files, for readers of them. The store does not look into files, and text is faster to make.
    """
    build = build_parquet if as_parquet else _build_text
    staged: dict[str, bytes] = {}
    for number in range(shards):
        content = build([f"{name} {number} {row}" for row in range(rows)])
        staged[f"shards/train-{number:05}.parquet"] = content
        staged[f"receipts/{number:05}.json"] = json.dumps({"rows": rows}).encode()
    copies = {f"data/train-{number:05}.parquet": f"shards/train-{number:05}.parquet" for number in range(shards)}
    listing = [
        {"path": path, "size": len(staged[source]), "sha256": hashlib.sha256(staged[source]).hexdigest(), "rows": rows}
        for path, source in copies.items()
    ]
    manifest = json.dumps({"name": name, "files": listing}).encode()
    digest = hashlib.sha256(manifest).hexdigest()
    about = {README: CARD.encode(), NOTE: f"about {name}".encode(), MANIFEST: manifest}
    return Generation(digest, staged, copies, about)


def build_parquet(texts: list[str], row_group_size: int = 10) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), sink, row_group_size=row_group_size)
    return sink.getvalue()


def _build_text(texts: list[str]) -> bytes:
    return "\n".join(texts).encode()
