"""The render step: find out which shard is this pod's, and render it unless an earlier run has done so."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.report import RenderReport
from deepsynth_api.workload import COMPLETION_INDEX_VARIABLE, RenderWorkload
from deepsynth_render.documents.dataset_manifest import ManifestShard, find_published
from deepsynth_render.documents.receipt import Receipt, find_receipt
from deepsynth_render.documents.render_plan import load_plan, open_staging, require_digest
from deepsynth_render.page import PageRenderer
from deepsynth_render.page.compiled.loading import IS_BUILT
from deepsynth_render.render.planned_fonts import use_planned_fonts
from deepsynth_render.render.shard import ShardRenderer
from deepsynth_render.reporting.report import Reporter
from deepsynth_store.core.atomic import explain_full_disk

_NOT_BUILT: Final = (
    "the compiled core is missing, so pages are drawn several times slower; "
    "install a C compiler and Python's headers, then install DeepSynth again"
)


def run_render(
    workload: RenderWorkload, reporter: Reporter, *, build_renderer: Callable[..., PageRenderer] = PageRenderer
) -> None:
    """Render the shard with number JOB_COMPLETION_INDEX, or report it if it is staged or published already.

    build_renderer: called as PageRenderer is, with spec.page and the compression.
    """
    digest = require_digest(workload)
    target = open_staging(workload, digest, reporter.on_wait)
    shard = _get_index()
    if published := find_published(target, digest):
        done = published.manifest.shards[_check_index(shard, len(published.manifest.shards))]
        reporter.log(f"shard {shard} is published already")
        _report_done(reporter, shard, done)
    elif receipt := find_receipt(target, digest, shard):
        reporter.log(f"shard {shard} is staged already")
        _report_done(reporter, shard, receipt)
    else:
        if not IS_BUILT:
            reporter.log(_NOT_BUILT)
        plan = load_plan(workload, target)
        _check_index(shard, len(plan.shards))
        use_planned_fonts(plan, target)
        with tempfile.TemporaryDirectory(prefix="deepsynth-render-") as name, explain_full_disk(Path(name)):
            ShardRenderer(
                plan,
                digest=digest,
                shard=shard,
                target=target,
                folder=Path(name),
                reporter=reporter,
                build_renderer=build_renderer,
            ).run()


def _get_index() -> int:
    text = os.environ.get(COMPLETION_INDEX_VARIABLE, "")
    if not text.isdecimal():
        raise ConfigurationError(f"{COMPLETION_INDEX_VARIABLE}: must be the number of a shard, got {text!r}")
    return int(text)


def _check_index(shard: int, shards: int) -> int:
    if shard >= shards:
        raise ConfigurationError(f"{COMPLETION_INDEX_VARIABLE}: must be below {shards}, the plan's number of shards")
    return shard


def _report_done(reporter: Reporter, shard: int, done: ManifestShard | Receipt) -> None:
    reporter.show(
        RenderReport(
            shard=shard,
            documents_total=done.documents + sum(entry.rows for entry in done.dropped),
            documents=done.documents,
            pages=done.pages,
            bytes=done.size,
            dropped=done.dropped,
            replaced_characters=done.replaced_characters,
        )
    )
