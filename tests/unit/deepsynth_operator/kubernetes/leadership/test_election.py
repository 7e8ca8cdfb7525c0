"""The election in virtual time: who leads when, under kills, partitions, stops, outages and clocks that differ."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import pytest

from deepsynth_operator.core.errors import LeadershipLost
from deepsynth_operator.kubernetes.leadership.election import DEFAULT_TIMING, read_clock
from support.clocks.virtual_time import run
from support.cluster.fake_lease import Candidate, SharedLease, Watcher, draw

MAX_TAKEOVER_SECONDS: Final = 14.0
HANDOVER_SECONDS: Final = 2.0
Script = Callable[[SharedLease, Candidate, Candidate, Watcher], Awaitable[None]]


def elect(script: Script, *, skew: float = 0.0) -> Watcher:
    """Run `script` with a leader and a standby that have been there for ten seconds. At most one ever leads."""

    async def main() -> Watcher:
        lease = SharedLease()
        first = Candidate(lease, "first")
        await asyncio.sleep(1)
        second = Candidate(lease, "second", skew=skew)
        watcher = Watcher([first, second])
        await watcher.watch(10)
        assert (first.leads, second.leads) == (True, False)
        await script(lease, first, second, watcher)
        for candidate in watcher.candidates:
            candidate.resume()
            await candidate.kill()
        return watcher

    watcher = run(main())
    assert watcher.overlaps == []
    return watcher


def test_the_timing_lets_a_leader_drop_out_before_another_takes_over() -> None:
    assert 2 * DEFAULT_TIMING.retry < DEFAULT_TIMING.deadline < DEFAULT_TIMING.duration
    assert DEFAULT_TIMING.duration + DEFAULT_TIMING.look < MAX_TAKEOVER_SECONDS


@pytest.mark.parametrize("skew", [0.0, -1e5, 1e5])
def test_a_standby_takes_over_from_a_killed_leader_also_if_its_clock_differs(skew: float) -> None:
    async def script(_: SharedLease, first: Candidate, second: Candidate, watcher: Watcher) -> None:
        await first.kill()
        await watcher.watch(MAX_TAKEOVER_SECONDS)
        assert second.leads

    assert elect(script, skew=skew).longest_without_leader <= MAX_TAKEOVER_SECONDS


def test_a_terminated_leader_hands_over_at_once() -> None:
    async def script(lease: SharedLease, first: Candidate, second: Candidate, watcher: Watcher) -> None:
        await first.terminate()
        await watcher.watch(HANDOVER_SECONDS)
        assert second.leads
        assert lease.record is not None
        assert lease.record.holder == "second"

    assert elect(script).longest_without_leader <= HANDOVER_SECONDS


def test_a_leader_without_an_api_server_drops_out_before_the_standby_takes_over() -> None:
    async def script(_: SharedLease, first: Candidate, second: Candidate, watcher: Watcher) -> None:
        first.is_cut_off = True
        await watcher.watch(DEFAULT_TIMING.deadline + DEFAULT_TIMING.retry)
        assert first.has_dropped_out
        with pytest.raises(LeadershipLost):
            first.election.require()
        await watcher.watch(MAX_TAKEOVER_SECONDS)
        assert second.leads

    elect(script)


@pytest.mark.parametrize("seconds", [9.0, 10.9, 30.0, 3600.0])
def test_a_leader_that_was_stopped_may_write_nothing_when_it_continues(seconds: float) -> None:
    async def script(_: SharedLease, first: Candidate, second: Candidate, watcher: Watcher) -> None:
        first.stop()
        await watcher.watch(seconds)
        first.resume()
        assert not first.leads
        await watcher.watch(MAX_TAKEOVER_SECONDS)
        assert first.has_dropped_out
        assert second.leads

    elect(script)


def test_a_leader_that_was_stopped_for_a_moment_continues() -> None:
    async def script(_: SharedLease, first: Candidate, second: Candidate, watcher: Watcher) -> None:
        first.stop()
        await watcher.watch(3)
        first.resume()
        await watcher.watch(60)
        assert (first.leads, second.leads) == (True, False)

    elect(script)


def test_an_outage_shorter_than_the_deadline_changes_nothing() -> None:
    async def script(lease: SharedLease, first: Candidate, _: Candidate, watcher: Watcher) -> None:
        lease.is_down = True
        await watcher.watch(2.5)
        lease.is_down = False
        await watcher.watch(30)
        assert first.leads

    assert elect(script).longest_without_leader < 1


def test_after_a_long_outage_of_the_api_server_one_leads_again() -> None:
    """Not at once: if the standby missed the last renewal, it sees a change now, and has to wait from now on."""

    async def script(lease: SharedLease, first: Candidate, second: Candidate, watcher: Watcher) -> None:
        lease.is_down = True
        await watcher.watch(300)
        assert first.has_dropped_out
        assert not second.leads
        lease.is_down = False
        await watcher.watch(5 + MAX_TAKEOVER_SECONDS)
        assert second.leads

    elect(script)


def test_a_renewal_whose_answer_was_lost_counts_at_the_next_look() -> None:
    async def script(_: SharedLease, first: Candidate, __: Candidate, watcher: Watcher) -> None:
        first.loses_answers = True
        await watcher.watch(4)
        first.loses_answers = False
        await watcher.watch(30)
        assert first.leads

    assert elect(script).longest_without_leader < 1


def test_a_candidate_whose_answers_are_lost_does_not_lead_and_takes_it_later() -> None:
    async def script(_: SharedLease, first: Candidate, second: Candidate, watcher: Watcher) -> None:
        second.loses_answers = True
        await first.terminate()
        await watcher.watch(20)
        assert not second.leads
        second.loses_answers = False
        await watcher.watch(5)
        assert second.leads

    elect(script)


def test_a_lease_that_someone_deletes_is_made_again_by_its_holder() -> None:
    async def script(lease: SharedLease, first: Candidate, second: Candidate, watcher: Watcher) -> None:
        lease.record = None
        await watcher.watch(30)
        assert (first.leads, second.leads) == (True, False)

    elect(script)


def test_a_leader_drops_out_as_soon_as_it_sees_another_holder() -> None:
    async def script(lease: SharedLease, first: Candidate, _: Candidate, watcher: Watcher) -> None:
        assert lease.record is not None
        lease.record = replace(lease.record, version="by hand", holder="someone")
        await watcher.watch(DEFAULT_TIMING.retry + 0.2)
        assert first.has_dropped_out

    elect(script)


def test_of_candidates_that_start_at_once_one_leads() -> None:
    async def main() -> None:
        lease = SharedLease()
        candidates = [Candidate(lease, str(number)) for number in range(5)]
        watcher = Watcher(candidates)
        await watcher.watch(60)
        assert sum(candidate.leads for candidate in candidates) == 1
        assert watcher.overlaps == []
        assert watcher.longest_without_leader < 1
        for candidate in candidates:
            await candidate.kill()

    run(main())


@pytest.mark.parametrize("seed", range(8))
def test_at_most_one_process_leads_at_any_time(seed: int) -> None:
    """Twenty minutes with five processes; clocks drift by up to three percent."""

    async def main() -> None:
        generator = random.Random(seed)
        lease = SharedLease()
        watcher = Watcher([Candidate(lease, str(number), **draw(generator)) for number in range(3)])
        for number in range(3, 63):
            victim = generator.choice(watcher.candidates)
            match generator.randrange(7):
                case 0:
                    victim.stop()
                case 1 | 2:
                    victim.resume()
                case 3:
                    victim.is_cut_off = not victim.is_cut_off
                case 4:
                    victim.loses_answers = not victim.loses_answers
                case 5:
                    lease.is_down = not lease.is_down
                case _:
                    victim.resume()
                    await generator.choice([victim.kill, victim.terminate])()
            watcher.candidates = [one for one in watcher.candidates if not one.task.done()]
            if len(watcher.candidates) < 3:
                watcher.candidates.append(Candidate(lease, str(number), **draw(generator)))
            await watcher.watch(generator.uniform(0, 20))
        lease.is_down = False
        for candidate in watcher.candidates:
            candidate.resume()
            candidate.is_cut_off = candidate.loses_answers = False
        watcher.without_leader = watcher.longest_without_leader = 0.0
        watcher.candidates = [*watcher.candidates, Candidate(lease, "last")]
        await watcher.watch(60)
        assert watcher.overlaps == []
        assert watcher.longest_without_leader < 2 * MAX_TAKEOVER_SECONDS
        assert any(candidate.leads for candidate in watcher.candidates)
        for candidate in watcher.candidates:
            await candidate.kill()

    run(main())


def test_the_clock_continues_while_the_machine_is_suspended() -> None:
    assert read_clock() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=5)
