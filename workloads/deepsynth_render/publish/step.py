"""The publish step: check every shard, then publish them with the card and the manifest in one atomic commit."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepsynth_api.counted import counted
from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.report import PublishReport
from deepsynth_api.workload import RenderWorkload
from deepsynth_render.documents.dataset_manifest import (
    DatasetManifest,
    ManifestFile,
    ManifestShard,
    ManifestSplit,
    ManifestStyle,
    PublishedGeneration,
    find_published,
)
from deepsynth_render.documents.dropped_rows import DROPPED_PATH, shard_dropped_path
from deepsynth_render.documents.page_text import PageText
from deepsynth_render.documents.receipt import Receipt, matches, parse_receipt, receipt_path, withdraw_receipt
from deepsynth_render.documents.render_plan import (
    PlannedShard,
    RenderPlan,
    load_plan,
    name_staging,
    open_staging,
    require_plan,
)
from deepsynth_render.publish.card import build_card
from deepsynth_render.publish.dropped import join_dropped
from deepsynth_render.reporting.dropped import add_dropped, explain_dropped, require_drawn
from deepsynth_render.reporting.report import Reporter
from deepsynth_store import MANIFEST, README, DatasetTarget, StoredFile
from deepsynth_store.core.atomic import compute_sha256, explain_full_disk
from deepsynth_store.core.ranged_file import read_parts


def run_publish(workload: RenderWorkload, reporter: Reporter) -> None:
    """Publish the plan's shards. Repeating it after success, or after a kill at any point, gives the same result."""
    reporter.show(PublishReport(uri=workload.output.uri))
    planned = require_plan(workload)
    digest, staging = planned.digest, name_staging(planned)
    target = open_staging(workload, staging, reporter.on_wait)
    if published := find_published(target, digest):
        reporter.log("published already")
        target.publish({}, {MANIFEST: published.content})  # removes staging that a killed run left, and nothing else
        _report(reporter, workload.output.uri, published)
        return
    plan = load_plan(workload, target)
    receipts = _gather_receipts(target, staging, plan.shards)
    _verify(target, receipts)
    copies = {file.path: file.path for receipt in receipts for file in receipt.files}
    with tempfile.TemporaryDirectory(prefix="deepsynth-publish-") as folder, explain_full_disk(Path(folder)):
        dropped = join_dropped(target, plan, receipts, Path(folder))
        dropped_sha256 = compute_sha256(dropped[DROPPED_PATH]) if dropped else None
        manifest = build_manifest(plan, digest, receipts, dropped_sha256)
        require_drawn(manifest.documents, manifest.dropped, workload.max_refused_percent, manifest.undrawable)
        _refuse_empty(manifest)
        content = manifest.to_json()
        revision = target.publish(copies, {**dropped, README: build_card(manifest).encode(), MANIFEST: content})
    _report(reporter, workload.output.uri, PublishedGeneration(manifest, content, revision))


def build_manifest(
    plan: RenderPlan, digest: str, receipts: Sequence[Receipt], dropped_sha256: str | None = None
) -> DatasetManifest:
    """What is published and what was dropped. receipts: of each shard, in order. dropped_sha256: of their list."""
    splits = [_sum_split(split.name, receipts) for split in plan.splits]
    pages = sum(split.pages for split in splits)
    page_text = _sum_text(receipts)
    return DatasetManifest(
        plan=digest,
        draft=plan.draft,
        source=plan.source,
        look=plan.look,
        documents=sum(split.documents for split in splits),
        pages=pages,
        size=sum(split.size for split in splits),
        rows_read=plan.rows_read,
        dropped=add_dropped([plan.dropped, *(receipt.dropped for receipt in receipts)]),
        dropped_sha256=dropped_sha256,
        columns=plan.columns,
        skipped_files=plan.skipped_files,
        undrawable=plan.undrawable,
        replaced_characters=sum(receipt.replaced_characters for receipt in receipts),
        page_text=page_text,
        density=page_text.average(pages) if page_text else None,
        styles=_sum_styles(receipts),
        splits=[split for split in splits if split.pages],
        shards=[
            ManifestShard(
                documents=entry.documents,
                pages=entry.pages,
                size=entry.size,
                dropped=entry.dropped,
                replaced_characters=entry.replaced_characters,
            )
            for entry in receipts
        ],
        files=[file for receipt in receipts for file in receipt.files],
    )


def _sum_split(name: str, receipts: Sequence[Receipt]) -> ManifestSplit:
    mine = [receipt for receipt in receipts if receipt.split == name]
    return ManifestSplit(
        name=name,
        documents=sum(receipt.documents for receipt in mine),
        pages=sum(receipt.pages for receipt in mine),
        size=sum(receipt.size for receipt in mine),
    )


def _sum_text(receipts: Sequence[Receipt]) -> PageText | None:
    sizes = [receipt.page_text for receipt in receipts]
    known = [size for size in sizes if size is not None]
    return sum(known, PageText()) if len(known) == len(sizes) else None


def _sum_styles(receipts: Sequence[Receipt]) -> list[ManifestStyle]:
    total: dict[int, ManifestStyle] = {}
    for part in (style for receipt in receipts for style in receipt.styles):
        known = total.get(part.style)
        total[part.style] = (
            known.updated(documents=known.documents + part.documents, pages=known.pages + part.pages) if known else part
        )
    return [total[style] for style in sorted(total)]


def _gather_receipts(target: DatasetTarget, staging: str, shards: Sequence[PlannedShard]) -> list[Receipt]:
    present = {file.path for file in target.list_staged("receipts/")}
    found = {
        number: parse_receipt(target.get(receipt_path(number)), staging, number, shard.rows_sha256)
        for number, shard in enumerate(shards)
        if receipt_path(number) in present
    }
    missing = [number for number in range(len(shards)) if found.get(number) is None]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(shards)} shards are not staged in {target.uri} (first: {missing[0]}); "
            "delete and re-apply the resource to render them, finished shards are kept",
            reason=Reason.SHARD_MISSING,
        )
    return [receipt for _, receipt in sorted(found.items()) if receipt is not None]


def _verify(target: DatasetTarget, receipts: Sequence[Receipt]) -> None:
    staged = {file.path: file for folder in ("data/", "dropped/") for file in target.list_staged(folder)}
    damaged = [
        receipt.shard
        for receipt in receipts
        if not all(_is_whole(target, staged, file) for file in receipt.files)
        or not _lists_dropped(target, staged, receipt)
    ]
    for shard in damaged:
        withdraw_receipt(target, shard)
    if damaged:
        raise DataError(
            f"{counted(len(damaged), 'damaged shard')} staged in {target.uri} (first: {damaged[0]}), nothing was "
            "published; delete and re-apply the resource, only these are rendered again",
            reason=Reason.SHARD_DAMAGED,
        )


def _is_whole(target: DatasetTarget, staged: Mapping[str, StoredFile], file: ManifestFile) -> bool:
    found = staged.get(file.path)
    if found is None or not matches(found, file):
        return False
    return found.sha256 is not None or _compute_sha256(target, file.path) == file.sha256


def _lists_dropped(target: DatasetTarget, staged: Mapping[str, StoredFile], receipt: Receipt) -> bool:
    path, expected = shard_dropped_path(receipt.shard), receipt.dropped_sha256
    if expected is None or path not in staged:
        return expected is None
    return (staged[path].sha256 or _compute_sha256(target, path)) == expected


def _compute_sha256(target: DatasetTarget, path: str) -> str:
    digest = hashlib.sha256()
    with target.open_staged(path) as file:
        for chunk in read_parts(file):
            digest.update(chunk)
    return digest.hexdigest()


def _refuse_empty(manifest: DatasetManifest) -> None:
    if not manifest.documents:
        raise DataError(
            f"no document of {manifest.source.uri} could be rendered ({explain_dropped(manifest.dropped)}); "
            "check its script, spec.page.size, spec.page.maxPages and spec.filters",
            reason=Reason.EMPTY_DATASET,
        )


def _report(reporter: Reporter, uri: str, published: PublishedGeneration) -> None:
    manifest = published.manifest
    counts = f"{counted(manifest.documents, 'document')}, {counted(manifest.pages, 'page')}"
    reporter.log(f"{counts} at {uri}, revision {published.revision}")
    reporter.show(
        PublishReport(
            uri=uri,
            revision=published.revision,
            rows=manifest.documents,
            pages=manifest.pages,
            bytes=manifest.size,
            manifest_sha256=published.sha256,
            dropped=manifest.dropped,
            dropped_path=manifest.dropped_path,
            replaced_characters=manifest.replaced_characters,
            density=manifest.density,
        )
    )
