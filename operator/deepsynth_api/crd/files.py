"""The files with the CustomResourceDefinitions: crds/, and the templates of the chart.

    python -m deepsynth_api.crd.files --write .     write them below the project's root
    python -m deepsynth_api.crd.files --check .     fail if they are out of date

The chart has them as templates, because Helm never upgrades the files in a chart's own crds/ folder.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from deepsynth_api.crd.schema import build_crd
from deepsynth_api.kinds import GROUP, KINDS

CRDS: Final = Path("crds")
CHART_CRDS: Final = Path("charts/deepsynth/templates/crds")
HEADER: Final = "# Generated from operator/deepsynth_api by `make crds`. Do not edit.\n"
_METADATA: Final = "metadata:\n"
_CHART_METADATA: Final = """\
metadata:
  {{- include "deepsynth.crdMetadata" . | nindent 2 }}
"""


class _PlainDumper(yaml.SafeDumper):
    """Repeats equal lists instead of using YAML anchors, which are hard to read and which some tools reject."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class fixes the signature
        return True


@cache
def render_crd(kind: str) -> str:
    """The manifest of a CRD as YAML."""
    return HEADER + yaml.dump(build_crd(kind), Dumper=_PlainDumper, sort_keys=False, width=120)


def render_chart_crd(crd: str) -> str:
    """The Helm template of a CRD's manifest. It adds the labels of the release and the policy to keep the CRD."""
    text = crd.replace("{{", '{{ "{{" }}').replace(_METADATA, _CHART_METADATA, 1)
    return f"{{{{- if .Values.crds.enabled }}}}\n{text}{{{{- end }}}}\n"


def file_name(kind: str) -> str:
    return f"{GROUP}_{KINDS[kind].plural}.yaml"


def build_files() -> Mapping[Path, str]:
    """The text of each file, by its path below the project's root."""
    crds = {file_name(kind): render_crd(kind) for kind in KINDS}
    templates = {CHART_CRDS / name: render_chart_crd(crd) for name, crd in crds.items()}
    return {CRDS / name: crd for name, crd in crds.items()} | templates


def write_files(root: Path) -> None:
    for path, text in build_files().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def find_drift(root: Path) -> list[str]:
    """Files that are out of date, and manifests in their folders that belong to no kind."""
    expected = build_files()
    present = {path.relative_to(root) for folder in (CRDS, CHART_CRDS) for path in (root / folder).glob("*.yaml")}
    changed = {path for path, text in expected.items() if not _holds(root / path, text)}
    return sorted(str(path) for path in changed | (present - set(expected)))


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deepsynth_api.crd.files", description="Write or check the CRDs.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", type=Path, metavar="ROOT", help="write the files below the project's root")
    action.add_argument("--check", type=Path, metavar="ROOT", help="fail if the files are out of date")
    chosen = parser.parse_args(arguments)
    if chosen.write:
        write_files(chosen.write)
        return 0
    drift = find_drift(chosen.check)
    if drift:
        print(f"out of date: {', '.join(drift)}; run `make crds`", file=sys.stderr)
    return 1 if drift else 0


if __name__ == "__main__":
    sys.exit(main())
