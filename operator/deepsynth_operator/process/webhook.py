"""Sends CloudEvents to the administrator's webhook in the background, again and again until it accepts them.

Nothing waits for it. A try begins only while the event is the current one of its resource and this process leads. What
was sent and what was not is in the status of the resources: this forgets everything when the process ends, and is
offered the rest again by the next one.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.decisions.shared.notifications import CONTENT_TYPE, GIVE_UP_AFTER

FIRST_DELAY: Final = 1.0
MAX_DELAY: Final = 300.0
ANSWER_SECONDS: Final = 10.0
CONNECTIONS: Final = 4
_MAX_REMEMBERED: Final = 10_000
_logger = logging.getLogger(__name__)


class _Withdrawn(Exception):  # noqa: N818 - not an error
    """There is no mark of the event any more, or another process looks after it."""


class Webhook:
    """token: sent as `Authorization: Bearer`; empty for none. on_delivered: called when one was accepted.

    is_leading: whether this process may send. Another one may have delivered what this one was still trying to send.
    """

    def __init__(
        self,
        url: str,
        token: str,
        on_delivered: Callable[[ResourceKey], None],
        *,
        is_leading: Callable[[], bool] = lambda: True,
        pause: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._url, self._token, self._on_delivered = url, token, on_delivered
        self._is_leading, self._pause = is_leading, pause
        self._current: dict[ResourceKey, str] = {}
        """The id of the event to send about a resource."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        """By the id of the event."""
        self._delivered: dict[str, None] = {}
        """Ids, oldest first. A cache that is behind may still show their marks."""
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._session: aiohttp.ClientSession | None = None

    def deliver(self, key: ResourceKey, event: Manifest | None) -> bool:
        """Whether this event has been accepted. If not, it is being sent when this returns, unless it is too old.

        Any other event about the resource is not tried again; None: nothing is to be sent about it.
        """
        if event is None:
            self._current.pop(key, None)
            return False
        name = event["id"]
        self._current[key] = name
        if name in self._delivered:
            return True
        age = datetime.now(UTC) - datetime.fromisoformat(event["time"])
        if name not in self._tasks and age < GIVE_UP_AFTER:
            sending = self._send(key, event, (GIVE_UP_AFTER - age).total_seconds())
            self._tasks[name] = asyncio.create_task(sending, name=f"notification {name}")
        return False

    async def close(self) -> None:
        for task in [*self._tasks.values()]:
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _send(self, key: ResourceKey, event: Manifest, seconds: float) -> None:
        """Until it is accepted, or these seconds are over, also while it waits for an answer or a slot."""
        delay = FIRST_DELAY
        try:
            async with asyncio.timeout(seconds):
                while problem := await self._try(key, event):
                    _logger.warning(
                        "the webhook did not accept %s: %s; next try in %.0f s", event["id"], problem, delay
                    )
                    await self._pause(delay)
                    delay = min(2 * delay, MAX_DELAY)
            self._remember(event["id"])
            self._on_delivered(key)
        except TimeoutError:
            _logger.warning("the webhook has not accepted %s in time: it is not sent any more", event["id"])
        except _Withdrawn:
            _logger.info("notification %s is not tried again: its mark is gone, or another process leads", event["id"])
        finally:
            self._tasks.pop(event["id"], None)

    async def _try(self, key: ResourceKey, event: Manifest) -> str:
        """What went wrong; empty if the event was accepted. Raises _Withdrawn if it must not be sent any more."""
        async with self._slots:
            if self._current.get(key) != event["id"] or not self._is_leading():
                raise _Withdrawn
            return await self._post(event)

    async def _post(self, event: Manifest) -> str:
        """What went wrong; empty if the event was accepted. The URL is not in it: it may hold a secret."""
        headers = {"Content-Type": CONTENT_TYPE}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS))
        try:
            async with self._session.post(
                self._url, data=json.dumps(event).encode(), headers=headers, allow_redirects=False
            ) as answer:
                return "" if 200 <= answer.status < 300 else f"it answered {answer.status}"
        except TimeoutError:
            return f"no answer within {ANSWER_SECONDS:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"it cannot be reached ({type(error).__name__})"

    def _remember(self, name: str) -> None:
        self._delivered[name] = None
        if len(self._delivered) > _MAX_REMEMBERED:
            del self._delivered[next(iter(self._delivered))]
