"""report.html: what the resources did, as one file without network, scripts or tracking."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from importlib import resources
from pathlib import Path

from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_local.report.data import Curves, find_folder, read_curves, read_sample_pages
from deepsynth_local.report.html_fragments import build_state
from deepsynth_local.report.sections import build_generation_section, build_run_section
from deepsynth_local.runs.runs_folder import RunsFolder

Resource = DatasetGeneration | TrainingRun


def write_report(items: Sequence[Resource], runs: RunsFolder, now: datetime) -> Path:
    """Write report.html about these resources; returns where it is."""
    runs.report.write_text(build_report(items, runs, now), encoding="utf-8")
    return runs.report


def build_report(items: Sequence[Resource], runs: RunsFolder, now: datetime) -> str:
    """The page. Pages and curves are read from the folders that the resources name, where those are on this machine."""
    style = resources.files("deepsynth_local.report").joinpath("report.css").read_text(encoding="utf-8")
    links = "".join(
        f'<li><a href="#{item.kind.lower()}-{escape(item.metadata.name, quote=True)}">{escape(item.metadata.name)}</a> '
        f"{build_state(item.status.state or 'Pending')}</li>"
        for item in items
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>DeepSynth report</title>'
        f"<style>{style}</style></head>\n<body><header><h1>DeepSynth report</h1>"
        f'<p class="soft">{escape(str(runs.path))}, {now:%Y-%m-%d %H:%M} UTC</p>'
        f'<nav aria-label="Resources"><ul>{links}</ul></nav></header>\n<main>'
        + "\n".join(_build_section(item, runs) for item in items)
        + "</main>\n<footer>The resources themselves: <code>deepsynth get -o yaml</code>"
        "</footer></body></html>\n"
    )


def _build_section(item: Resource, runs: RunsFolder) -> str:
    if isinstance(item, DatasetGeneration):
        folder = find_folder(item.spec.output.uri, runs)
        pages = read_sample_pages(folder) if folder is not None and item.status.output is not None else []
        return build_generation_section(item, pages)
    folder = find_folder(item.spec.checkpoint.uri, runs)
    return build_run_section(item, read_curves(folder) if folder is not None else Curves())
