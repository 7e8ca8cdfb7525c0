"""Font sizes and heights that fit a document: the same as looking at all of them."""

from math import log

from hypothesis import given
from hypothesis import strategies as st

from deepsynth_render.page.fitting import crop, find_balanced_lines, find_compressed, find_least_shrunk

sizes = st.integers(6, 96)
amounts = st.integers(1, 10_000)


@given(sizes, st.integers(1, 50), amounts)
def test_shrinking_takes_the_largest_size_with_the_fewest_pages(size: int, percent: int, amount: int) -> None:
    def count(at: int) -> int:
        return max(-(-amount * at * at // 100_000), 1)

    allowed = [at for at in range(6, size + 1) if 100 * at >= (100 - percent) * size]
    fewest = min(map(count, allowed))
    assert find_least_shrunk(size, percent, count) == max(at for at in allowed if count(at) == fewest)


@given(sizes, st.floats(0.2, 20), amounts)
def test_compression_takes_the_largest_size_of_those_nearest_to_the_target(
    size: int, target: float, amount: int
) -> None:
    def measure(at: int) -> float:
        return amount / 100 / max(-(-amount * at * at // 300_000), 1)

    distances = {at: abs(log(measure(at) / target)) for at in range(6, size + 1)}
    nearest = min(distances.values())
    assert find_compressed(size, target, measure) == max(at for at in distances if distances[at] == nearest)


@given(st.integers(1, 60), st.integers(1, 400))
def test_balanced_columns_are_the_lowest_with_the_same_number_of_pages(lines: int, total: int) -> None:
    def count(at: int) -> int:
        return -(-total // at)

    found = find_balanced_lines(lines, count(lines), count)
    assert count(found) == count(lines)
    assert found == lines if count(lines) == 1 else found == 1 or count(found - 1) > count(lines)


def test_a_cropped_page_ends_below_its_ink_at_a_multiple() -> None:
    assert crop(1024, 100, 32, 1) == 132
    assert crop(1024, 100, 32, 28) == 140
    assert crop(1024, 1000, 32, 28) == 1024
    assert crop(1024, 80, 32, 112) == 112
