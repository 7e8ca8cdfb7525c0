from hypothesis import given
from hypothesis import strategies as st

from deepsynth_render.plan.deduplicate import SeenTexts, hash_text, order_splits


@given(st.lists(st.integers(0, 60)), st.sampled_from([4, 1024]))
def test_a_text_is_new_exactly_once(numbers: list[int], slots: int) -> None:
    seen, reference = SeenTexts(slots), set[int]()
    for number in numbers:
        assert seen.add(hash_text(str(number))) == (number not in reference)
        reference.add(number)


def test_the_table_grows_and_forgets_nothing() -> None:
    seen = SeenTexts(slots=4)
    assert all(seen.add(hash_text(str(number))) for number in range(5_000))
    assert not any(seen.add(hash_text(str(number))) for number in range(5_000))


def test_hashes_of_the_same_slot_are_distinguished() -> None:
    seen = SeenTexts(slots=8)
    digests = [number.to_bytes(8) + bytes([index]) * 8 for index, number in enumerate([8, 16, 24, 7, 15], start=1)]
    assert all(seen.add(digest) for digest in digests)
    assert not any(seen.add(digest) for digest in digests)


def test_test_comes_first_and_train_last() -> None:
    assert order_splits(["train", "ca_test", "validation", "test"]) == ["test", "validation", "ca_test", "train"]
