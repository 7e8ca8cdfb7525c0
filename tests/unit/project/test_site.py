"""The documentation site: all pages are in its navigation, and the code names pages that exist."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]


class Loader(yaml.SafeLoader):
    """MkDocs takes objects of Python in its configuration; here they do not matter."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def list_pages(entry: Any) -> Iterator[str]:
    match entry:
        case str():
            yield entry
        case dict():
            for below in entry.values():
                yield from list_pages(below)
        case list():
            for below in entry:
                yield from list_pages(below)


def test_every_page_is_in_the_navigation_once() -> None:
    config = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)  # noqa: S506 - a safe loader
    listed = list(list_pages(config["nav"]))
    assert len(listed) == len(set(listed))
    assert {str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md")} <= set(listed)
    assert [page for page in listed if not any((ROOT / top / page).exists() for top in ("docs", "."))] == []


def test_pages_that_the_code_names_exist() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    files = [ROOT / name for name in tracked if name.endswith((".py", ".yaml", ".md", "Makefile", ".tpl", ".ipynb"))]
    named = {
        (name, str(path.relative_to(ROOT)))
        for path in files
        if path.exists()
        for name in re.findall(r"(?<![\w/.])docs/[\w/-]+\.(?:md|png)", path.read_text(errors="replace"))
    }
    assert len(named) > 20
    assert sorted(pair for pair in named if not (ROOT / pair[0]).exists() and "tests/" not in pair[1]) == []
