"""Which samples are evaluated: at most spec.evaluation.maxSamples, spread over datasets and documents. Pure.

Datasets of 6 and 2 samples, limit 4:

    sample       0  1  2  3  4  5 | 6  7
    evaluated    0     2     4    | 6            3 of the first, 1 of the second: by their sizes, at least one of each

The choice depends on the sizes alone, so it is the same in every evaluation, attempt and rank. Weights of datasets do
not count: they say how often a sample is trained on, and every sample is evaluated once.
"""

from collections.abc import Sequence


def choose_samples(sizes: Sequence[int], limit: int) -> list[int]:
    """Sample numbers, ascending. sizes: samples of each dataset, which are numbered one after the other."""
    chosen: list[int] = []
    start = 0
    for size, count in zip(sizes, share_out(sizes, limit), strict=True):
        chosen += [start + index * size // count for index in range(count)]
        start += size
    return chosen


def share_out(sizes: Sequence[int], limit: int) -> list[int]:
    """How many samples to take of each dataset: one, and the rest in proportion to its size (largest remainder)."""
    places = [place for place, size in enumerate(sizes) if size]
    room = min(limit, sum(sizes))
    if room < len(places):
        places = [places[index * len(places) // room] for index in range(room)]
    shares = [int(place in places) for place in range(len(sizes))]
    room -= len(places)
    others = [size - 1 if place in places else 0 for place, size in enumerate(sizes)]
    exact = [room * other / max(1, sum(others)) for other in others]
    shares = [share + int(wanted) for share, wanted in zip(shares, exact, strict=True)]
    left = room - sum(int(wanted) for wanted in exact)
    by_remainder = sorted(range(len(sizes)), key=lambda place: (int(exact[place]) - exact[place], place))
    return [share + (place in by_remainder[:left]) for place, share in enumerate(shares)]
