"""Print the section of one version in CHANGELOG.md as the text of a release, which is shown far from the repository.

    python -m deepsynth_generators.release_notes 0.2.0 https://HOST/OWNER/NAME/blob/v0.2.0

Standard library only: the workflow runs it without `make setup`.
"""

import re
import sys
from pathlib import Path
from typing import Final

CHANGELOG: Final = Path(__file__).parents[2] / "CHANGELOG.md"
_RELATIVE_LINK: Final = re.compile(r"\]\((?![a-z]+:|#)([^)]+)\)")
_CONTINUED_LINE: Final = re.compile(r"\n *(?=[^\s#-])")
"""A line break inside a paragraph or an item, which a release would show as one."""


def cut_notes(changelog: str, version: str, base: str) -> str:
    """base: the address of the repository's files, to which relative links lead. Raises ValueError without notes."""
    section = re.search(rf"^## {re.escape(version)} .*?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if section is None:
        raise ValueError(f"CHANGELOG.md: no section for {version}; run `make changelog VERSION={version}`")
    blocks = [_CONTINUED_LINE.sub(" ", block) for block in section[1].strip().split("\n\n")]
    return _RELATIVE_LINK.sub(rf"]({base}/\1)", "\n\n".join(blocks)) + "\n"


if __name__ == "__main__":
    print(cut_notes(CHANGELOG.read_text(encoding="utf-8"), *sys.argv[1:]), end="")
