"""`deepsynth cost --calibrate`: render the first documents of a source on this machine, and measure the time.

Twice, if there are enough: only the difference of two samples shows what grows with the documents and what is start-up.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.presets import resolve_source
from deepsynth_api.v1alpha1 import DatasetGeneration
from deepsynth_local.runs.resource_store import ResourceStore
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_operator.core.observed import Manifest

SAMPLE_ROWS: Final = 200
"""Of each split in the first sample. A process needs a second to start, and renders as many pages of prose in half of
one."""
_SECONDS: Final = 15
"""For which the second sample should render: times are known in whole seconds."""
_MAX_GROWTH: Final = 16


def calibrate(generation: DatasetGeneration, runs: RunsFolder) -> list[DatasetGeneration]:
    """The same generation, as if it had been complete with one limit of rows, and with another one if it has as many.

    runs: has the volumes of pvc:// sources. Raises ConfigurationError if a sample cannot be rendered.
    """
    first = _render(generation, runs, SAMPLE_ROWS)
    if not _is_limited(first):
        return [first]
    seconds = sum(job.pod_seconds for job in first.status.jobs if job.step == "render")
    return [first, _render(generation, runs, SAMPLE_ROWS * min(max(_SECONDS // max(seconds, 1), 2), _MAX_GROWTH))]


def _is_limited(sample: DatasetGeneration) -> bool:
    """Whether some split has as many rows as the sample read of each, so that there may be more."""
    plan, source = sample.status.plan, sample.spec.source
    rows = [split.rows for split in plan.splits] if plan else []
    dropped = sum(item.rows for item in plan.dropped) if plan else 0
    return bool(rows) and source is not None and max(rows) + dropped >= (source.max_rows_per_split or 0)


def _render(generation: DatasetGeneration, runs: RunsFolder, rows: int) -> DatasetGeneration:
    sample = build_sample(generation, runs, rows)
    with tempfile.TemporaryDirectory(prefix="deepsynth-calibration-") as folder:
        file = Path(folder, "sample.yaml")
        file.write_text(yaml.safe_dump(sample, allow_unicode=True), encoding="utf-8")
        command = [sys.executable, "-m", "deepsynth", "local", "--runs", folder, "-f", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_choose_environment(os.environ))
        found = ResourceStore(RunsFolder(Path(folder))).list_all("DatasetGeneration")
    if done.returncode or not found:
        reason = done.stderr.strip() or done.stdout.strip()
        raise ConfigurationError(f"--calibrate: {generation.metadata.name} cannot be rendered here: {reason}")
    rendered = DatasetGeneration.model_validate(found[0])
    limited = resolve_source(generation.spec.preset, generation.spec.source).updated(
        max_rows_per_split=rendered.spec.source.max_rows_per_split if rendered.spec.source else rows
    )
    return rendered.updated(
        metadata=generation.metadata.updated(name=f"{generation.metadata.name} ({rows} rows per split, rendered here)"),
        spec=generation.spec.updated(preset=None, source=limited),
    )


def build_sample(generation: DatasetGeneration, runs: RunsFolder, rows: int) -> Manifest:
    """A manifest that renders the first rows of each split into a volume of its own, without the pods' settings."""
    spec = generation.spec
    source = resolve_source(spec.preset, spec.source)
    limit = min(source.max_rows_per_split or rows, rows)
    source = source.updated(uri=runs.localize(source.uri), max_rows_per_split=limit)
    fonts = [font.updated(uri=runs.localize(font.uri)) for font in spec.fonts]
    output = {"uri": "pvc://sample/pages", "compression": spec.output.compression}
    kept = spec.updated(source=source, fonts=fonts).to_dict()
    return {
        "apiVersion": generation.api_version,
        "kind": generation.kind,
        "metadata": {"name": "sample"},
        "spec": {
            **{name: kept[name] for name in ("source", "filters", "page", "fonts", "rowsPerShard") if name in kept},
            "maxRefusedPercent": 100,
            "output": output,
            "parallelism": 1,
        },
    }


def _choose_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Without prices: only seconds are measured."""
    return {name: value for name, value in environment.items() if name != "DEEPSYNTH_PRICES"}
