"""What the guides name is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_guide_to_troubles_names_reasons_that_the_code_gives() -> None:
    guide = (ROOT / "docs" / "troubleshooting.md").read_text()
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)`", guide))
    sources = [path.read_text() for folder in ("operator", "workloads") for path in (ROOT / folder).rglob("*.py")]
    known = {name for source in sources for name in re.findall(r'"([A-Z][A-Za-z]+)"', source)}
    assert len(named) > 25
    assert named - known == set()


def test_links_between_the_guides_lead_somewhere() -> None:
    for guide in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("charts/*/README.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", guide.read_text()):
            assert (guide.parent / link).exists(), f"{guide.name}: {link}"
