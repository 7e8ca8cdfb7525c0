"""Golden files: what is built, as YAML that a reviewer reads. UPDATE_GOLDEN=1 rewrites them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "golden"


class _Dumper(yaml.SafeDumper):
    """Block style, no anchors, long texts as they are."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def assert_golden(name: str, documents: Sequence[Mapping[str, Any]]) -> None:
    """Compare `documents` with golden/<name>.yaml, or write it."""
    text = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=120)
    assert_golden_text(FOLDER / f"{name}.yaml", text)


def assert_golden_text(path: Path, text: str) -> None:
    """Compare `text` with the file at `path`, or write it."""
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"{path} differs; UPDATE_GOLDEN=1 writes it, then read the diff"
