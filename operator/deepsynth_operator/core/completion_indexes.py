"""completedIndexes and failedIndexes in the status of an Indexed Job: intervals such as 1,3-5,7."""

import re
from collections.abc import Iterable
from typing import Final

MAX_INDEX: Final = 999_999
"""Higher indexes are cut off, so that a broken text costs neither memory nor time; Jobs here have far fewer."""
MAX_SHOWN_CHARACTERS: Final = 512
_INTERVAL: Final = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?", re.ASCII)


def parse_indexes(text: str) -> set[int]:
    """{1, 3, 4, 5, 7} of "1,3-5,7". Text that is not of this form is the empty set."""
    return {index for interval in _parse_intervals(text) for index in interval}


def count_indexes(text: str) -> int:
    """5 for "1,3-5,7". Text that is not of this form counts as none."""
    return sum(map(len, _parse_intervals(text)))


def format_indexes(indexes: Iterable[int]) -> str:
    """Compress to intervals, as the Job controller does: a pair is written 1,2 and not 1-2."""
    intervals: list[list[int]] = []
    for index in sorted(set(indexes)):
        if intervals and index == intervals[-1][-1] + 1:
            intervals[-1].append(index)
        else:
            intervals.append([index])
    return ",".join(
        f"{interval[0]}-{interval[-1]}" if len(interval) > 2 else ",".join(map(str, interval)) for interval in intervals
    )


def shift_indexes(text: str, by: int) -> str:
    """The same intervals, each index higher by `by`: "5,7-9" for "1,3-5" and 4."""
    return re.sub(r"\d{1,10}", lambda index: str(int(index[0]) + by), text) if by else text


def shorten_indexes(text: str, limit: int = MAX_SHOWN_CHARACTERS) -> str:
    """`text` as it is, or its first intervals and "..." if it is longer than `limit`."""
    return text if len(text) <= limit else f"{text[:limit].rpartition(',')[0]},..."


def _parse_intervals(text: str) -> list[range]:
    intervals = []
    for part in filter(None, text.split(",")):
        match = _INTERVAL.fullmatch(part)
        if match is None:
            return []
        intervals.append(range(int(match[1]), min(int(match[2] or match[1]), MAX_INDEX) + 1))
    return intervals
