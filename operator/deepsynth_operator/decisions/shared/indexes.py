"""completedIndexes and failedIndexes of an Indexed Job: intervals such as 1,3-5,7."""


def count_indexes(text: str) -> int:
    """How many indexes the intervals hold. Text that is not of this form counts as none."""
    total = 0
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            return 0
        total += max(int(last or first) - int(first) + 1, 0)
    return total
