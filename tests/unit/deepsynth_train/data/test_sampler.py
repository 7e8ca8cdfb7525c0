from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_api.errors import ConfigurationError
from deepsynth_train.data.sampler import Part, Sampler, build_parts, count_missing, derive_seed, split_batch

sizes = st.integers(1, 40)
batches = st.integers(1, 17)
seeds = st.integers(0, 2**31 - 1)


def visit(sampler: Sampler, steps: int) -> list[int]:
    return [int(n) for step in range(steps) for n in sampler.select_batch(step)]


@given(samples=sizes, batch=batches, seed=seeds, epochs=st.integers(1, 3))
def test_each_sample_is_visited_once_per_epoch(samples: int, batch: int, seed: int, epochs: int) -> None:
    sampler = Sampler([Part(samples)], batch, seed, epochs)
    assert sampler.steps is not None
    order = visit(sampler, sampler.steps)
    for epoch in range(epochs):
        assert sorted(order[epoch * samples : (epoch + 1) * samples]) == list(range(samples))
    assert len(order) == epochs * samples


@given(
    samples=sizes,
    batch=batches,
    seed=seeds,
    worlds=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    size=st.integers(1, 7),
)
def test_changing_the_number_of_ranks_on_resume_changes_no_batch(
    samples: int, batch: int, seed: int, worlds: list[int], size: int
) -> None:
    tokens = np.random.default_rng(seed).integers(1, 5, samples)
    sampler = Sampler([Part(samples)], batch, seed, 2)
    assert sampler.steps is not None
    for step in range(sampler.steps):
        world = worlds[step % len(worlds)]
        whole = sampler.select_batch(step)
        shares = [split_batch(whole, tokens, rank, world, size) for rank in range(world)]
        counts = [sum(map(len, pieces)) for pieces in shares]
        assert Counter(np.concatenate([piece for pieces in shares for piece in pieces]).tolist()) == Counter(
            whole.tolist()
        )
        assert max(counts) - min(counts) <= 1
        assert {len(pieces) for pieces in shares} == {-(-len(whole) // (world * size))}, "as few as can be"
        assert max(len(piece) for pieces in shares for piece in pieces) <= size
        spans = sorted((min(t), max(t)) for pieces in shares for piece in pieces if len(t := tokens[piece]))
        assert all(one[1] <= other[0] for one, other in pairwise(spans)), "lengths do not overlap"


def test_micro_batches_of_similar_length_need_little_padding_on_any_number_of_ranks() -> None:
    generator = np.random.default_rng(0)
    tokens = (270 + generator.lognormal(np.log(450), 0.6, 1024)).astype(int)
    batches = np.split(generator.permutation(1024), 16)

    def measure_padding(world: int, *, sort: bool) -> float:
        pieces = [
            piece
            for batch in batches
            for rank in range(world)
            for piece in (
                split_batch(batch, tokens, rank, world, 4) if sort else np.split(batch[rank::world], 16 // world)
            )
        ]
        return float(1 - tokens.sum() / sum(len(piece) * tokens[piece].max() for piece in pieces))

    assert measure_padding(1, sort=False) > 0.28
    assert all(measure_padding(world, sort=True) < 0.07 for world in (1, 2, 8, 16))


def test_no_rank_gets_all_long_micro_batches() -> None:
    tokens = np.arange(64)
    work = [sum(tokens[piece].sum() for piece in split_batch(np.arange(64), tokens, rank, 4, 4)) for rank in range(4)]
    assert max(work) == min(work)


@given(samples=sizes, batch=batches, seed=seeds, epochs=st.integers(1, 3), more=st.integers(1, 3))
def test_a_run_that_is_extended_after_a_smaller_last_batch_skips_no_sample(
    samples: int, batch: int, seed: int, epochs: int, more: int
) -> None:
    whole = Sampler([Part(samples)], batch, seed, epochs + more)
    first = Sampler([Part(samples)], batch, seed, epochs)
    assert first.steps is not None
    state = {"step": first.steps, "position": first.find_position(first.steps)}
    second = Sampler([Part(samples)], batch, seed, epochs + more, missing=count_missing(state, batch))
    assert second.steps is not None
    assert whole.steps is not None
    later = [int(n) for step in range(first.steps, second.steps) for n in second.select_batch(step)]
    assert visit(first, first.steps) + later == visit(whole, whole.steps)
    assert second.find_position(second.steps) == (epochs + more) * samples


@given(samples=sizes, weight=st.integers(0, 30), seed=seeds)
def test_a_weight_is_how_often_a_sample_is_seen_per_epoch(samples: int, weight: int, seed: int) -> None:
    parts = [Part(samples, weight / 10), Part(1)]
    sampler = Sampler(parts, 8, seed, 1)
    assert sampler.steps is not None
    counts = Counter(visit(sampler, sampler.steps))
    assert counts.pop(samples) == 1
    assert counts.total() == round(samples * weight / 10) or abs(counts.total() - samples * weight / 10) <= 0.5
    assert all(count in {weight // 10, weight // 10 + 1} for count in counts.values())


def test_without_an_end_batches_continue_over_epochs_and_are_always_full() -> None:
    sampler = Sampler([Part(10)], 4, seed=1)
    assert sampler.steps is None
    assert all(len(sampler.select_batch(step)) == 4 for step in range(20))
    assert Counter(visit(sampler, 5)) == Counter(dict.fromkeys(range(10), 2))


def test_epochs_and_seeds_change_the_order_and_equal_ones_do_not() -> None:
    first, again, other = (Sampler([Part(50)], 50, seed, 2) for seed in (1, 1, 2))
    assert visit(first, 2) == visit(again, 2)
    assert visit(first, 1) != visit(other, 1)
    assert first.select_batch(0).tolist() != first.select_batch(1).tolist()


def test_a_batch_does_not_depend_on_the_batches_requested_before() -> None:
    assert Sampler([Part(30)], 7, 3).select_batch(11).tolist() == visit(Sampler([Part(30)], 7, 3), 12)[-7:]


@pytest.mark.parametrize(("world", "batch"), [(4, 2), (3, 1)])
def test_a_rank_without_a_sample_gets_an_empty_share(world: int, batch: int) -> None:
    shares = [split_batch(np.arange(batch), np.ones(batch, dtype=np.int64), rank, world, 1) for rank in range(world)]
    assert [[len(piece) for piece in pieces] for pieces in shares] == [[1]] * batch + [[0]] * (world - batch)


def test_seeds_differ_by_step_and_rank() -> None:
    assert len({derive_seed(5, step, rank) for step in range(50) for rank in range(4)}) == 200


def test_a_weight_that_rounds_to_no_sample_is_refused_by_its_field() -> None:
    with pytest.raises(ConfigurationError) as caught:
        build_parts({"large": 1.0, "small": 0.1}, [100, 4])
    assert caught.value.message == (
        "spec.datasets[small].weight: 0.1 of 4 samples rounds to no sample per epoch; raise it to at least 0.25, or "
        "remove the dataset"
    )


@given(samples=sizes, percent=st.integers(0, 300))
def test_the_smallest_weight_that_the_refusal_names_is_accepted(samples: int, percent: int) -> None:
    try:
        parts = build_parts({"d": percent / 100}, [samples])
    except ConfigurationError as error:
        named = error.message.split("at least ")[1].split(",")[0]
        parts = build_parts({"d": float(named)}, [samples])
    assert Sampler(parts, 4, 0, 1).epoch_length > 0
