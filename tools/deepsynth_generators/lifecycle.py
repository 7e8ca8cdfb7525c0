"""Draw the lives of both kinds into docs/concepts/lifecycle.md: states, transitions with reasons, and policy tables.

    PYTHONPATH=tools python -m deepsynth_generators.lifecycle --write     write them
    PYTHONPATH=tools python -m deepsynth_generators.lifecycle --check     fail when they are out of date

The transitions are found by walking through every life (`lives.py`); the tables are those of `policies.py`.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from deepsynth_generators.generated_file import write_or_check
from deepsynth_generators.generation_lives import build_generation_world
from deepsynth_generators.lives import Arrow, walk
from deepsynth_generators.run_lives import build_run_world
from deepsynth_operator.decisions.dataset_generation import policies as generation
from deepsynth_operator.decisions.shared.policies import Policy
from deepsynth_operator.decisions.training_run import policies as run

GUIDE: Final = Path(__file__).parents[2] / "docs/concepts/lifecycle.md"
BEGIN: Final = "<!-- {kind}: written by `make lifecycle` -->\n"
END: Final = "<!-- end of {kind} -->\n"

Transitions = Mapping[tuple[str, str], list[str]]
"""(state before, state after) -> reasons, sorted. "" is a resource that was just applied."""

ACTIVE: Final[Mapping[str, frozenset[str]]] = {
    "TrainingRun": frozenset({"Queued", "Starting", "Running", "Restarting"}),
    "DatasetGeneration": frozenset({"Queued", "Starting", "Planning", "Rendering", "Publishing"}),
}
"""States drawn in one box: an arrow that all of them have is drawn once, from the box."""


def collect(arrows: Iterable[Arrow]) -> Transitions:
    """The reasons of each transition."""
    reasons: dict[tuple[str, str], set[str]] = defaultdict(set)
    for arrow in arrows:
        reasons[arrow.before, arrow.after].add(arrow.reason)
    return {states: sorted(reasons[states]) for states in sorted(reasons)}


def merge(transitions: Transitions, active: frozenset[str]) -> Transitions:
    """The same with one arrow from "Active" instead of equal ones from all its states."""
    merged = dict(transitions)
    for target in sorted({after for _, after in transitions} - active):
        sources = {before for before, after in transitions if after == target}
        if active <= sources:
            reasons = {reason for before in active for reason in merged.pop((before, target))}
            merged["Active", target] = sorted(reasons)
    return dict(sorted(merged.items()))


def draw(transitions: Transitions, active: frozenset[str]) -> Iterator[str]:
    """A Mermaid state diagram."""
    yield "stateDiagram-v2"
    yield "    state Active {"
    inner = {states for states in transitions if set(states) <= active}
    yield from (f"        {before} --> {after}" for before, after in sorted(inner))
    yield "    }"
    yield from (f"    {before or '[*]'} --> {after}" for before, after in transitions if (before, after) not in inner)
    yield from (f"    {state} --> [*]" for state in ("Complete", "Failed"))


def render_life(kind: str, transitions: Transitions, tables: Mapping[str, Sequence[Policy[Any, Any]]]) -> str:
    """Drawing, transitions and policy tables of one kind, as Markdown."""
    active = ACTIVE[kind]
    merged = merge(transitions, active)
    lines = ["", "```mermaid", *draw(merged, active), "```", "", "| from | to | reasons |", "|---|---|---|"]
    for (before, after), reasons in merged.items():
        words = ", ".join(f"`{reason}`" for reason in reasons)
        lines.append(f"| {before or '(applied)'} | {after} | {words} |")
    for title, policies in tables.items():
        lines += ["", f"**{title}** First match wins.", "", "| policy | answers when |", "|---|---|"]
        lines += [f"| `{policy.name}` | {policy.when} |" for policy in policies]
    return "\n".join([*lines, "", ""])


def render_guide(text: str, lives: Mapping[str, str]) -> str:
    """The guide with these lives between its marks."""
    for kind, life in lives.items():
        begin, end = BEGIN.format(kind=kind), END.format(kind=kind)
        before, mark, rest = text.partition(begin)
        _, last, after = rest.partition(end)
        if not mark or not last:
            raise ValueError(f"{GUIDE.name}: lacks the lines {begin.strip()!r} and {end.strip()!r}")
        text = f"{before}{begin}{life}{end}{after}"
    return text


def render_lives() -> dict[str, str]:
    """Both kinds. Walking takes most of a minute."""
    return {
        "TrainingRun": render_life(
            "TrainingRun",
            collect(walk(build_run_world())),
            {
                "Is the live attempt over, and with which outcome?": run.END_POLICIES,
                "Is there no further attempt?": run.FAILURE_POLICIES,
                "What does the next attempt have to wait for?": run.START_POLICIES,
            },
        ),
        "DatasetGeneration": render_life(
            "DatasetGeneration",
            collect(walk(build_generation_world())),
            {
                "Is the live Job over, and with which outcome?": generation.END_POLICIES,
                "Is there no further Job?": generation.FAILURE_POLICIES,
                "What does the next Job have to wait for?": generation.START_POLICIES,
            },
        ),
    }


def read_transitions(text: str, kind: str) -> Transitions:
    """What the guide's table of `kind` says, with each arrow from Active as one arrow from each of its states."""
    life = text.partition(BEGIN.format(kind=kind))[2].partition(END.format(kind=kind))[0]
    found: dict[tuple[str, str], list[str]] = {}
    for line in life.partition("|---|---|---|\n")[2].partition("\n\n")[0].splitlines():
        before, after, reasons = (cell.strip() for cell in line.strip("|").split("|"))
        for state in ACTIVE[kind] if before == "Active" else {"" if before == "(applied)" else before}:
            found[state, after] = [reason.strip("` ") for reason in reasons.split(",")]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    expected = render_guide(GUIDE.read_text(encoding="utf-8"), render_lives())
    fault = "the drawings are out of date; run `make lifecycle`"
    return write_or_check(
        arguments, GUIDE, expected, what="the drawings of lives in docs/concepts/lifecycle.md", fault=fault
    )


if __name__ == "__main__":
    sys.exit(main())
