"""What is known of a plan before rows are read: the draft, from the workload document and the opened source."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_api.workload import RenderWorkload
from deepsynth_render.documents.render_draft import RenderDraft
from deepsynth_render.documents.render_plan import Look, PinnedConfig, PinnedFont, PinnedSource
from deepsynth_render.page.fonts import gather_digests
from deepsynth_render.plan.deduplicate import order_splits
from deepsynth_render.sources import TextSource

_PACKAGES: Final = (
    "deepsynth-operator",
    "freetype-py",
    "icu4py",
    "isal",
    "pyarrow",
    "pyromark",
    "uharfbuzz",
    "zlib-ng",
)
"""The bytes of a page depend on them, besides text and settings: they lay out, draw, compress or store pages."""


def build_draft(workload: RenderWorkload, source: TextSource, own_fonts: Sequence[PinnedFont] = ()) -> RenderDraft:
    """own_fonts: those of spec.fonts."""
    return RenderDraft(
        source=_pin(workload, source),
        look=_build_look(workload, own_fonts),
        filters=workload.filters,
        rows_per_shard=workload.rows_per_shard,
        read_splits=order_splits(source.splits),
        holdout_percent=workload.source.holdout_percent or 0,
    )


def _pin(workload: RenderWorkload, source: TextSource) -> PinnedSource:
    asked = workload.source
    configs = [PinnedConfig(name=name, language=language, rows={}) for name, language in source.configs.items()]
    return PinnedSource(
        uri=asked.uri,
        revision=source.revision,
        config=asked.config,
        configs=configs or None,
        columns=asked.columns,
        max_rows_per_split=asked.max_rows_per_split,
        name=workload.source_name,
        language=source.language,
        license=workload.output.license or source.license,
    )


def _build_look(workload: RenderWorkload, own_fonts: Sequence[PinnedFont]) -> Look:
    return Look(
        page=workload.page,
        compression=workload.output.compression,
        max_shard_bytes=workload.output.max_shard_bytes,
        fonts=gather_digests(),
        own_fonts=list(own_fonts),
        versions={package: version(package) for package in _list_packages(workload.page)},
    )


def _list_packages(page: PageSettings) -> Sequence[str]:
    return (*_PACKAGES, "numpy", "pillow") if page.augmentation else _PACKAGES
