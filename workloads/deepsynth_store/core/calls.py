"""Calling a server: a limited number of tries, pauses that are reported, and errors that a user can act on.

What an error means depends on the server and its client library: `hub` and `objects` say it in a subclass of Calls.
"""

import random
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, NoReturn, TypeVar

from deepsynth_api.counted import counted
from deepsynth_api.errors import TemporaryError, WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.backoff import NO_CONNECTION, Fault, compute_pause
from deepsynth_store.core.interface import OnWait, Waiting

T = TypeVar("T")

_MAX_SILENT_SECONDS: Final = 60.0
"""A longer pause is reported again and again: callers count a report as a sign of life."""
_MAX_WATCHED_SECONDS: Final = 10.0
_answered: set[str] = set()
"""Addresses that have answered this process or an earlier one. Others may not exist, so they are given up sooner."""


def give_up_long_waits(waiting: Waiting) -> None:
    """See OnWait: for a user who waits for the answer."""
    if waiting.seconds > _MAX_WATCHED_SECONDS:
        raise TemporaryError(f"{waiting.reason}; try again later", reason=Reason.STORE_UNAVAILABLE)


class OddAnswerError(Exception):
    """An answer has the form of the server's, but not its types or its length."""


class Calls(ABC):
    """Runs actions against one server about one place (`uri`).

    has_answered: an earlier process has had an answer from this server, so that silence is an outage.
    """

    server: ClassVar[str]
    """Such as `the Hub`."""
    remedies: ClassVar[Mapping[Fault, str]]
    unreachable: ClassVar[Reason]
    unavailable: ClassVar[Reason]

    def __init__(self, uri: str, address: str, *, on_wait: OnWait | None, has_answered: bool) -> None:
        self._uri = uri
        self._address = address
        self._on_wait = on_wait or (lambda _: None)
        if has_answered:
            _answered.add(address)

    @abstractmethod
    def classify(self, error: BaseException) -> Fault | None:
        """None when repeating the call would not help. One of NO_CONNECTION: there was no connection this time.

        CREDENTIALS is explained, as None is, after a few tries.
        """

    @abstractmethod
    def is_answer(self, error: BaseException) -> bool:
        """Whether the server itself has sent this error."""

    @abstractmethod
    def find_asked_seconds(self, error: BaseException) -> float | None:
        """How long the server asks to wait before the next try, None if it does not say."""

    @abstractmethod
    def describe(self, error: BaseException) -> str:
        """One line without secrets."""

    @abstractmethod
    def explain(self, error: BaseException) -> WorkloadError | None:
        """What to show the user for an error that repeating does not fix; None if the error is not the server's."""

    def find_cause(self, error: Exception) -> BaseException:
        """The actual error, where a library wraps it."""
        return error

    def call(self, what: str, action: Callable[[], T]) -> T:
        """Run `action` until it succeeds or is given up. It must be safe to repeat when an answer was lost.

        what: completes "could not ..." in messages.
        """
        tries: Counter[object] = Counter()
        started = time.monotonic()
        while True:
            try:
                result = action()
            except WorkloadError:
                raise
            except Exception as error:  # noqa: BLE001 - libraries fail in any way on answers of another form
                caught = error
            else:
                _answered.add(self._address)
                return result
            self._wait_or_give_up(caught, what, tries, started)

    def _wait_or_give_up(self, caught: Exception, what: str, tries: Counter[object], started: float) -> None:
        error = self.find_cause(caught)
        fault = self._find_fault(error)
        if fault is None:
            self._give_up(caught, error)
        tries[fault] += 1
        jitter, spent = random.random(), time.monotonic() - started  # noqa: S311 - jitter need not be secret
        asked = self.find_asked_seconds(error)
        pause = compute_pause(fault, tries[fault], asked, jitter, spent)
        if pause is None and fault is Fault.CREDENTIALS:
            self._give_up(caught, error)
        if pause is None:
            wish = "" if asked is None else f"; it asks to wait {asked:,.0f} s"
            raise TemporaryError(
                f"could not {what} {self._uri} at {self._address}, tried {counted(tries[fault], 'time')}: "
                f"{fault.describe(self.server)} ({self.describe(error)}){wish}{self.remedies.get(fault, '')}",
                reason=self.unreachable if fault in NO_CONNECTION else self.unavailable,
            ) from error
        self._pause(fault.describe(self.server), pause)

    def _give_up(self, caught: Exception, error: BaseException) -> NoReturn:
        if explained := self.explain(error):
            raise explained from error
        raise caught

    def _pause(self, reason: str, seconds: float) -> None:
        while seconds > 0:
            self._on_wait(Waiting(reason, seconds))
            time.sleep(min(seconds, _MAX_SILENT_SECONDS))
            seconds -= _MAX_SILENT_SECONDS

    def _find_fault(self, error: BaseException) -> Fault | None:
        fault = self.classify(error)
        if self.is_answer(error):
            _answered.add(self._address)
        return Fault.UNAVAILABLE if fault in NO_CONNECTION and self._address in _answered else fault
