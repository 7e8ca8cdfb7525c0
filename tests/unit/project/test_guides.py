"""The reasons and links in the guides exist."""

import re
from pathlib import Path

from deepsynth_api.reasons import Reason

ROOT = Path(__file__).parents[3]
GUIDES = ("*.md", "docs/**/*.md", "charts/*/README.md", "examples/**/*.md", "tools/*/README.md", "benchmarks/**/*.md")


def test_troubleshooting_names_only_reasons_that_exist() -> None:
    guide = (ROOT / "docs" / "operations/troubleshooting.md").read_text()
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)`", guide))
    assert len(named) > 25
    assert named - set(Reason) == set()


def test_links_between_the_guides_work() -> None:
    for guide in [path for pattern in GUIDES for path in ROOT.glob(pattern)]:
        for link in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", guide.read_text()):
            assert (guide.parent / link).exists(), f"{guide.name}: {link}"
