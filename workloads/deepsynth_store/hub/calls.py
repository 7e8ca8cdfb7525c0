"""Calling the Hub: one client, a limited number of tries, and errors that a user can act on.

The client library repeats some of its requests itself (a few times, also on 429), but never a commit, and its requests
have no time limit unless one is set here.
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, TypedDict, TypeVar

from huggingface_hub import HfApi, constants, set_client_factory
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils._http import default_client_factory
from huggingface_hub.utils.tqdm import disable_progress_bars

from deepsynth_api.errors import TemporaryError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.interface import OnWait, Waiting
from deepsynth_store.core.uri import HubLocation
from deepsynth_store.hub.backoff import Fault, compute_pause
from deepsynth_store.hub.errors import (
    HTTP_ERROR,
    classify,
    describe,
    explain,
    find_cause,
    get_asked_seconds,
    parse_asked_seconds,
)

T = TypeVar("T")

OFFICIAL_ENDPOINT: Final = "https://huggingface.co"
_TIMEOUT_SECONDS: Final = 120.0
_CONNECT_SECONDS: Final = 3.0
"""For each address of the host; enough to survive a lost packet."""
_listeners: list[OnWait] = []
_answered: set[str] = set()
"""Endpoints that have answered this process or an earlier one. Others may not exist, so they are given up sooner."""


class Repository(TypedDict):
    """The arguments that name a repository in calls of the client."""

    repo_id: str
    repo_type: str


class HubCalls:
    """Runs actions against the Hub for one repository. api: the real client, bound to HF_ENDPOINT.

    has_answered: an earlier process has had an answer from this Hub, so that silence is an outage.
    """

    def __init__(
        self, location: HubLocation, *, field: str, on_wait: OnWait | None, has_answered: bool = False
    ) -> None:
        _decline_xet()
        self.api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
        if has_answered:
            _answered.add(self.api.endpoint)
        self.location = location
        self.repo = Repository(repo_id=location.repo_id, repo_type=location.kind)
        self._field = field
        self._on_wait = on_wait or (lambda _: None)

    def call(self, what: str, action: Callable[[], T]) -> T:
        """Run `action` until it succeeds or is given up. It must be safe to repeat when an answer was lost.

        what: completes "could not ..." in messages.
        """
        tries: Counter[object] = Counter()
        started = time.monotonic()
        _listeners.append(self._on_wait)
        try:
            while True:
                try:
                    result = action()
                except (HTTP_ERROR, OSError, json.JSONDecodeError, RuntimeError) as error:
                    self._wait_or_give_up(find_cause(error), what, tries, started)
                else:
                    _answered.add(self.api.endpoint)
                    return result
        finally:
            _listeners.remove(self._on_wait)

    def _wait_or_give_up(self, error: BaseException, what: str, tries: Counter[object], started: float) -> None:
        fault = self._find_fault(error)
        if fault is None:
            raise explain(error, self.location.uri, self._field) or error from error
        tries[fault] += 1
        jitter, spent = random.random(), time.monotonic() - started  # noqa: S311 - jitter need not be secret
        pause = compute_pause(fault, tries[fault], get_asked_seconds(error), jitter, spent)
        if pause is None:
            remedy = "; check the network and HF_ENDPOINT" if fault is Fault.UNREACHABLE else ""
            raise TemporaryError(
                f"could not {what} {self.location.uri} at {self.api.endpoint}, tried {tries[fault]} times: "
                f"{fault.value} ({describe(error)}){remedy}",
                reason=Reason.HUB_UNREACHABLE if fault is Fault.UNREACHABLE else Reason.HUB_UNAVAILABLE,
            ) from error
        self._on_wait(Waiting(fault.value, pause))
        time.sleep(pause)

    def _find_fault(self, error: BaseException) -> Fault | None:
        fault = classify(error)
        if isinstance(error, HfHubHTTPError):
            _answered.add(self.api.endpoint)
        return Fault.UNAVAILABLE if fault is Fault.UNREACHABLE and self.api.endpoint in _answered else fault


def _decline_xet() -> None:
    """Upload without Xet, except to the official Hub: few other servers have it, and they cannot decline it.

    The environment variable would be too late, because the library reads it when it is imported.
    """
    official = os.environ.get("HF_ENDPOINT", OFFICIAL_ENDPOINT).rstrip("/") == OFFICIAL_ENDPOINT
    if not official and "HF_HUB_DISABLE_XET" not in os.environ:
        constants.HF_HUB_DISABLE_XET = True


def _build_client() -> Any:
    client = default_client_factory()
    client.timeout = (_CONNECT_SECONDS, _TIMEOUT_SECONDS, _TIMEOUT_SECONDS, _TIMEOUT_SECONDS)
    client.event_hooks = {**client.event_hooks, "response": [_report_throttling]}
    return client


def _report_throttling(response: Any) -> None:
    """Report waits inside the library, which honours Retry-After silently."""
    if response.status_code == 429:
        seconds = parse_asked_seconds(response.headers) or 0.0
        for listener in _listeners:
            listener(Waiting(Fault.THROTTLED.value, seconds))


set_client_factory(_build_client)
disable_progress_bars()
