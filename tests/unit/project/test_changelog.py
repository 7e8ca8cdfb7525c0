"""Changes are files until a release moves them into CHANGELOG.md, from which the release notes are cut."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from deepsynth_images.recipe import read_version

ROOT = Path(__file__).parents[3]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
KINDS = {kind["directory"]: kind["name"] for kind in SETTINGS["type"]}
NAME = re.compile(rf"(\d+|\+[a-z0-9-]+)\.({'|'.join(KINDS)})\.md")


def check_fragment(file: Path) -> str:
    """What is wrong with a file of changelog.d; empty if nothing is. towncrier only ignores it."""
    if not NAME.fullmatch(file.name):
        return f"{file.name}: must be named +short-name.KIND.md or ISSUE.KIND.md, KIND of {', '.join(KINDS)}"
    text = file.read_text().strip()
    return "" if text and not text.startswith(("-", "#")) else f"{file.name}: must be sentences, without a bullet"


def test_each_change_has_a_name_and_a_text_that_towncrier_takes() -> None:
    files = [file for file in (ROOT / "changelog.d").iterdir() if file.name != "README.md"]
    assert [problem for file in files if (problem := check_fragment(file))] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("+a.feature.md", "text"),
        ("a.added.md", "text"),
        ("+a.added", "text"),
        ("+a.added.md", " "),
        ("1.added.md", "- a"),
    ],
)
def test_a_change_that_would_be_lost_is_found(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert check_fragment(tmp_path / name)


def test_the_headings_of_the_changelog_are_the_kinds_of_changes() -> None:
    assert set(re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE)) <= {*KINDS.values()}
    listed = re.search(r"KIND is one of (.*?):", (ROOT / "changelog.d/README.md").read_text(), re.DOTALL)
    assert listed is not None
    assert re.findall(r"`(\w+)`", listed[1]) == [*KINDS]


def test_a_release_puts_the_changes_above_those_of_earlier_releases(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "CHANGELOG.md"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "changelog.d").mkdir()
    (tmp_path / "changelog.d/+evictions.fixed.md").write_text("Evictions count as disruptions.\n")
    command = [sys.executable, "-m", "towncrier", "build", "--keep", "--version", "9.9.9", "--date", "2026-01-02"]
    for action in (["git", "init", "-q"], command):
        subprocess.run(action, cwd=tmp_path, check=True, capture_output=True)
    before, section, after = (
        (tmp_path / "CHANGELOG.md")
        .read_text()
        .partition("## 9.9.9 (2026-01-02)\n\n### Fixed\n\n- Evictions count as disruptions.\n")
    )
    assert section
    assert before + after.lstrip("\n") == CHANGELOG


def test_the_changelog_has_the_notes_of_this_version() -> None:
    """.github/workflows/release.yml cuts them out."""
    assert re.search(rf"^## {re.escape(read_version())} \(\d{{4}}-\d\d-\d\d\)$", CHANGELOG, re.MULTILINE)


def test_the_guides_name_this_version() -> None:
    named = {
        (str(page.relative_to(ROOT)), match[1])
        for page in (ROOT / "docs").rglob("*.md")
        for match in re.finditer(
            r"(?:deepsynth-[$\w]+:|deepsynth-|tag: v|targetRevision: v)(\d+\.\d+\.\d+)", page.read_text()
        )
    }
    assert {"docs/operations/install.md", "docs/tasks/gitops.md"} <= {page for page, _ in named}
    assert {version for _, version in named} == {read_version()}
