"""`deepsynth cost --calibrate`: render the first documents of a source on this machine, and measure the time."""

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
"""Of each split. A process needs a second to start, and renders as many pages of prose in half of one."""


def calibrate(generation: DatasetGeneration, runs: RunsFolder) -> DatasetGeneration:
    """The same generation, as if it had been complete with a limit of rows. runs: has the volumes of pvc:// sources.

    Raises ConfigurationError if the sample cannot be rendered.
    """
    sample = build_sample(generation, runs)
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
        max_rows_per_split=rendered.spec.source.max_rows_per_split if rendered.spec.source else SAMPLE_ROWS
    )
    return rendered.updated(
        metadata=generation.metadata.updated(name=f"{generation.metadata.name} (a sample, rendered here)"),
        spec=generation.spec.updated(preset=None, source=limited),
    )


def build_sample(generation: DatasetGeneration, runs: RunsFolder) -> Manifest:
    """A manifest that renders the first rows of each split into a volume of its own, without the pods' settings."""
    spec = generation.spec
    source = resolve_source(spec.preset, spec.source)
    limit = min(source.max_rows_per_split or SAMPLE_ROWS, SAMPLE_ROWS)
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
