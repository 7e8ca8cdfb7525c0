"""completedIndexes and failedIndexes of an Indexed Job: intervals such as 1,3-5,7."""

from collections.abc import Iterable


def count_indexes(text: str) -> int:
    """How many indexes the intervals hold. Text that is not of this form counts as none."""
    total = 0
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            return 0
        total += max(int(last or first) - int(first) + 1, 0)
    return total


def format_indexes(indexes: Iterable[int]) -> str:
    """The shortest text for these indexes, in the Job's own form."""
    runs: list[list[int]] = []
    for index in sorted(set(indexes)):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
