"""The index finds exactly what comparing with all signatures finds, and compares with few of them."""

from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deepsynth_text import signature_index
from deepsynth_text.signature_index import SignatureIndex

PLACES: Final = 128
LEAST: Final = 103
"""80 %."""


def build_signatures(count: int, shared: float, seed: int) -> NDArray[np.uint32]:
    """Signatures that have this share of a template's numbers, and others at the other places, (count, 128)."""
    random = np.random.default_rng(seed)
    template = np.random.default_rng(0).integers(2**32, size=PLACES, dtype=np.uint32)
    own = random.integers(2**32, size=(count, PLACES), dtype=np.uint32)
    return np.where(random.random((count, PLACES)) < shared, template, own)


def build_index(signatures: NDArray[np.uint32]) -> SignatureIndex:
    index = SignatureIndex(PLACES, LEAST)
    for number, signature in enumerate(signatures):
        index.add(signature, number)
    return index


@given(count=st.integers(0, 400), shared=st.sampled_from([0, 0.5, 0.8, 0.9, 0.95, 1]), seed=st.integers(0, 2**32 - 1))
def test_a_signature_is_found_if_and_only_if_one_is_similar(count: int, shared: float, seed: int) -> None:
    signatures, (wanted,) = build_signatures(count, shared, seed), build_signatures(1, shared, seed + 1)
    similar = np.flatnonzero((signatures == wanted).sum(axis=1) >= LEAST).tolist()
    found = build_index(signatures).find(wanted)
    assert found in similar if similar else found is None


@pytest.mark.parametrize("differing", [25, 26])
def test_a_signature_at_the_limit_is_found_wherever_it_differs(differing: int) -> None:
    signatures = build_signatures(700, 0, seed=1)
    index = build_index(signatures)
    for number, signature in enumerate(signatures):
        wanted = signature.copy()
        wanted[np.random.default_rng(number).permutation(PLACES)[:differing]] += 1
        assert index.find(wanted) == (number if differing == 25 else None)


@pytest.mark.parametrize(
    ("shared", "most"),
    [pytest.param(0.99, 512, id="all alike"), pytest.param(0.7, 0, id="made from a template"), (0, 0)],
)
def test_few_are_compared_of_many_that_have_much_in_common(
    shared: float, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last 96 of 5,000, which are not sorted yet, are compared in any case."""
    index = build_index(build_signatures(5000, shared, seed=2))
    compared = 0
    find = signature_index._Block.find

    def count(block: signature_index._Block, rows: NDArray[np.intp] | slice, *arguments: object) -> int | None:
        nonlocal compared
        compared += 0 if isinstance(rows, slice) else len(rows)
        return find(block, rows, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(signature_index._Block, "find", count)
    for wanted in build_signatures(20, shared, seed=3):
        compared = 0
        index.find(wanted)
        assert compared <= most
