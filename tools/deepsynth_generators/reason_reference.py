"""Write docs/reference/reasons.md: every reason with its meaning and what to do, from the enum."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deepsynth_api.reasons import Reason
from deepsynth_generators.generated_file import write_or_check

PAGE: Final = Path(__file__).parents[2] / "docs/reference/reasons.md"
HEADER: Final = """\
# Reasons

<!-- Written by `make reference` from operator/deepsynth_api/reasons.py. Do not edit. -->

A reason is one word that says why: in a condition or an Event (`kubectl describe`), in the entry of an attempt or of a
Job, or in the counts of dropped rows. [Troubleshooting](../operations/troubleshooting.md) explains the common ones. A
word that is not in this table comes from Kubernetes or from an image of your own.

| reason | meaning | what to do |
|---|---|---|
"""


def render_page() -> str:
    rows = [f"| `{reason}` | {reason.meaning} | {reason.remedy} |\n" for reason in sorted(Reason)]
    return HEADER + "".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    fault = "the reasons are out of date; run `make reference`"
    return write_or_check(arguments, PAGE, render_page(), what="docs/reference/reasons.md", fault=fault)


if __name__ == "__main__":
    sys.exit(main())
