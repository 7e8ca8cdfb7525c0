"""Which samples are evaluated."""

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from deepsynth_train.evaluation.choice import choose_samples, share_out

SIZES = st.lists(st.integers(0, 3000), min_size=1, max_size=8).filter(any)


def test_all_samples_are_chosen_when_they_fit() -> None:
    assert choose_samples([3, 0, 2], 200) == [0, 1, 2, 3, 4]


def test_samples_are_spread_over_a_dataset() -> None:
    assert choose_samples([100], 4) == [0, 25, 50, 75]


def test_the_first_dataset_does_not_take_all_places() -> None:
    chosen = choose_samples([1000, 500], 30)
    assert sum(number < 1000 for number in chosen) == 20


def test_a_small_dataset_gives_at_least_one_sample() -> None:
    assert share_out([100_000, 3, 1], 10) == [8, 1, 1]


def test_with_fewer_places_than_datasets_each_takes_one() -> None:
    assert choose_samples([5] * 6, 3) == [0, 10, 20]


@given(SIZES, st.integers(1, 5000))
def test_as_many_as_fit_are_chosen_by_size(sizes: list[int], limit: int) -> None:
    chosen = choose_samples(sizes, limit)
    assert len(chosen) == min(limit, sum(sizes))
    assert all(a < b for a, b in pairwise(chosen))
    assert chosen[0] >= 0
    assert chosen[-1] < sum(sizes)
    shares = share_out(sizes, limit)
    assert all(share <= size for share, size in zip(shares, sizes, strict=True))
    datasets = sum(size > 0 for size in sizes)
    for (size, share), (other, theirs) in pairwise(sorted(zip(sizes, shares, strict=True))):
        assert share <= theirs + 1 or size == other or limit < datasets
    ends = list(accumulate(sizes))
    for end, size, share in zip(ends, sizes, shares, strict=True):
        assert sum(end - size <= number < end for number in chosen) == share
