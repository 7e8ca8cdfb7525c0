"""The reasons and links in the guides exist."""

import re
from pathlib import Path

from deepsynth_api.reasons import Reason
from support.golden_files import assert_golden_text

ROOT = Path(__file__).parents[3]
GUIDES = ("*.md", "docs/**/*.md", "charts/*/README.md", "examples/**/*.md", "tools/*/README.md", "benchmarks/**/*.md")

REASONS_PAGE = """\
# All reasons

A reason is one word that says why: in a condition or an Event (`kubectl describe`), in the entry of an attempt or of a
Job, or in the counts of dropped rows. [Troubleshooting](../operations/troubleshooting.md) explains the common ones. A
word that is not in this table comes from Kubernetes or from an image of your own.

| reason | meaning | what to do |
|---|---|---|
"""


def test_the_page_of_reasons_lists_every_reason() -> None:
    """Generated from the enum: UPDATE_GOLDEN=1 rewrites the page."""
    rows = [f"| `{reason}` | {reason.meaning} | {reason.remedy} |\n" for reason in sorted(Reason)]
    assert_golden_text(ROOT / "docs" / "reference/reasons.md", REASONS_PAGE + "".join(rows))


def test_troubleshooting_names_only_reasons_that_exist() -> None:
    guide = (ROOT / "docs" / "operations/troubleshooting.md").read_text()
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)`", guide))
    assert len(named) > 25
    assert named - set(Reason) == set()


def test_links_between_the_guides_work() -> None:
    for guide in [path for pattern in GUIDES for path in ROOT.glob(pattern)]:
        for link in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", guide.read_text()):
            assert (guide.parent / link).exists(), f"{guide.name}: {link}"
