"""CloudEvents to a webhook on loopback: accepted once, repeated after an error, sent again after a restart."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.decisions.shared.notifications import GIVE_UP_AFTER
from deepsynth_operator.process.webhook import CONNECTIONS, FIRST_DELAY, Webhook

KEY = ResourceKey("TrainingRun", "default", "read-xsum")
EVENT = {
    "specversion": "1.0",
    "id": "uid/time",
    "type": "io.deepsynth.trainingrun.complete",
    "time": datetime.now(UTC).isoformat(),
}
SOON = 120.0
"""Long: nothing waits for it unless the test fails."""


class Receiver:
    """Answers with these codes, then with 204. requests: what came, as headers and JSON."""

    def __init__(self, codes: Sequence[int] = ()) -> None:
        self._codes = [*codes]
        self.requests: list[tuple[dict[str, str], Any]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), json.loads(await request.read())))
        return web.Response(status=self._codes.pop(0) if self._codes else 204, headers={"Location": "/elsewhere"})


@asynccontextmanager
async def serve(receiver: Receiver) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/{path:.*}", receiver.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


class Sender:
    """A webhook whose delays pass at once. delays: how long it would have waited."""

    def __init__(self, url: str, token: str = "") -> None:
        self.delays: asyncio.Queue[float] = asyncio.Queue()
        self.delivered: asyncio.Queue[ResourceKey] = asyncio.Queue()
        self.is_leading = True
        self.webhook = Webhook(
            url, token, self.delivered.put_nowait, is_leading=lambda: self.is_leading, pause=self._pause
        )

    async def _pause(self, seconds: float) -> None:
        self.delays.put_nowait(seconds)
        await asyncio.sleep(0)

    async def collect_delays(self, count: int) -> list[float]:
        async with asyncio.timeout(SOON):
            return [await self.delays.get() for _ in range(count)]

    async def wait_until_idle(self) -> None:
        async with asyncio.timeout(SOON):
            await asyncio.gather(*self.webhook._tasks.values())

    async def wait(self) -> ResourceKey:
        async with asyncio.timeout(SOON):
            return await self.delivered.get()


def test_an_event_is_delivered_once_however_often_it_is_offered() -> None:
    async def scenario() -> None:
        receiver = Receiver()
        async with serve(receiver) as url:
            sender = Sender(url, token="secret")
            assert [sender.webhook.deliver(KEY, EVENT) for _ in range(3)] == [False] * 3
            assert await sender.wait() == KEY
            assert sender.webhook.deliver(KEY, EVENT)
            await sender.webhook.close()
        ((headers, body),) = receiver.requests
        assert body == EVENT
        assert headers["Content-Type"] == "application/cloudevents+json; charset=UTF-8"
        assert headers["Authorization"] == "Bearer secret"

    asyncio.run(scenario())


@pytest.mark.parametrize("code", [500, 429, 302])
def test_what_is_not_accepted_is_sent_again_after_longer_and_longer_delays(code: int) -> None:
    async def scenario() -> None:
        receiver = Receiver([code] * 3)
        async with serve(receiver) as url:
            sender = Sender(url)
            sender.webhook.deliver(KEY, EVENT)
            await sender.wait()
            await sender.webhook.close()
        assert await sender.collect_delays(3) == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
        assert sender.delays.empty()
        assert {body["id"] for _, body in receiver.requests} == {EVENT["id"]}
        assert len(receiver.requests) == 4

    asyncio.run(scenario())


def test_a_webhook_that_cannot_be_reached_delays_nobody_and_is_not_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with serve(Receiver()) as url:
            pass
        sender = Sender(f"{url}?key=secret")
        assert not sender.webhook.deliver(KEY, EVENT)
        await sender.collect_delays(3)
        await sender.webhook.close()
        assert sender.delivered.empty()

    asyncio.run(scenario())
    assert "cannot be reached" in caplog.text
    assert "secret" not in caplog.text


def test_a_process_that_ends_in_between_forgets_it_and_the_next_one_sends_it() -> None:
    async def scenario() -> None:
        receiver = Receiver([500] * 1000)
        async with serve(receiver) as url:
            first = Sender(url)
            first.webhook.deliver(KEY, EVENT)
            await first.collect_delays(1)
            await first.webhook.close()
            receiver._codes.clear()
            second = Sender(url)
            assert not second.webhook.deliver(KEY, EVENT)
            await second.wait()
            await second.webhook.close()
        assert first.delivered.empty()
        assert receiver.requests[-1][1] == receiver.requests[0][1]

    asyncio.run(scenario())


def an_event_that_is_given_up_in(seconds: float, number: int = 0) -> Manifest:
    time = datetime.now(UTC) - GIVE_UP_AFTER + timedelta(seconds=seconds)
    return {**EVENT, "id": f"uid-{number}/time", "time": time.isoformat()}


def test_an_event_older_than_a_day_is_not_sent_any_more() -> None:
    async def scenario() -> None:
        receiver = Receiver()
        async with serve(receiver) as url:
            sender = Sender(url)
            assert not sender.webhook.deliver(KEY, an_event_that_is_given_up_in(-1))
            sender.webhook.deliver(KEY, EVENT)
            await sender.wait()
            await sender.webhook.close()
        assert [body["id"] for _, body in receiver.requests] == [EVENT["id"]]

    asyncio.run(scenario())


def test_sending_ends_after_a_day_also_while_it_waits_for_an_answer_or_for_a_slot() -> None:
    class Silent(Receiver):
        async def answer(self, request: web.Request) -> web.Response:
            self.requests.append((dict(request.headers), json.loads(await request.read())))
            await asyncio.Event().wait()
            raise AssertionError

    async def scenario() -> None:
        receiver = Silent()
        async with serve(receiver) as url:
            sender = Sender(url)
            events = {
                KEY._replace(name=f"run-{number}"): an_event_that_is_given_up_in(seconds, number)
                for number, seconds in enumerate([1.5] * CONNECTIONS + [0.5] * 2)
            }
            for key, event in events.items():
                sender.webhook.deliver(key, event)
            await sender.wait_until_idle()
            assert not any(sender.webhook.deliver(key, event) for key, event in events.items())
            assert not sender.webhook._tasks
            await sender.webhook.close()
        assert sender.delays.empty()
        assert len(receiver.requests) <= CONNECTIONS

    asyncio.run(scenario())


def withdraw(sender: Sender) -> None:
    sender.webhook.deliver(KEY, None)


def end_again(sender: Sender) -> None:
    sender.webhook.deliver(KEY, {**EVENT, "id": "uid/later"})


def lose_the_lease(sender: Sender) -> None:
    sender.is_leading = False


@pytest.mark.parametrize("change", [withdraw, end_again, lose_the_lease])
def test_an_event_whose_mark_is_gone_is_not_tried_again(change: Callable[[Sender], None]) -> None:
    """Another process may have delivered it, and the Event of a second end says that the first is sent no more."""

    async def scenario() -> None:
        receiver = Receiver([500] * 3)
        async with serve(receiver) as url:
            sender = Sender(url)
            sender.webhook.deliver(KEY, EVENT)
            await sender.collect_delays(3)
            change(sender)
            await sender.wait_until_idle()
            await sender.webhook.close()
        assert [body["id"] for _, body in receiver.requests].count(EVENT["id"]) == 3
        assert sender.delivered.qsize() == (1 if change is end_again else 0)

    asyncio.run(scenario())


def test_a_try_under_way_ends_also_when_its_resource_is_deleted() -> None:
    class Slow(Receiver):
        async def answer(self, request: web.Request) -> web.Response:
            answer = await super().answer(request)
            withdraw(senders[0])
            return answer

    async def scenario() -> None:
        receiver = Slow()
        async with serve(receiver) as url:
            sender = Sender(url)
            senders.append(sender)
            sender.webhook.deliver(KEY, EVENT)
            assert await sender.wait() == KEY
            await sender.webhook.close()

    senders: list[Sender] = []
    asyncio.run(scenario())


def test_what_was_withdrawn_by_mistake_is_sent_when_it_is_offered_again() -> None:
    """A cache that is behind may show a resource without its mark for a moment."""

    async def scenario() -> None:
        receiver = Receiver([500])
        async with serve(receiver) as url:
            sender = Sender(url)
            sender.webhook.deliver(KEY, EVENT)
            await sender.collect_delays(1)
            withdraw(sender)
            await sender.wait_until_idle()
            assert not sender.webhook.deliver(KEY, EVENT)
            assert await sender.wait() == KEY
            await sender.webhook.close()

    asyncio.run(scenario())
