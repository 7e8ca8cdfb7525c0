"""Calling the Hub: one client, a limited number of tries, and errors that a user can act on.

The client library repeats some of its requests itself, but never a commit, and its requests have no time limit unless
one is set here. It would also sleep as long as a server asks; that is done here, where it is bounded and reported.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, TypedDict, TypeVar

from huggingface_hub import HfApi, constants, set_client_factory
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils._http import default_client_factory, hf_raise_for_status
from huggingface_hub.utils.tqdm import disable_progress_bars

from deepsynth_api.errors import TemporaryError, WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.interface import OnWait, Waiting
from deepsynth_store.core.uri import HubLocation
from deepsynth_store.hub.backoff import Fault, compute_pause
from deepsynth_store.hub.errors import (
    OddAnswerError,
    classify,
    describe,
    explain,
    find_cause,
    get_asked_seconds,
)

T = TypeVar("T")

OFFICIAL_ENDPOINT: Final = "https://huggingface.co"
_TIMEOUT_SECONDS: Final = 120.0
_CONNECT_SECONDS: Final = 3.0
"""For each address of the host; enough to survive a lost packet."""
_MAX_SILENT_SECONDS: Final = 60.0
"""A longer pause is reported again and again: callers count a report as a sign of life."""
_REMEDIES: Final = {
    Fault.UNREACHABLE: "; check the network and HF_ENDPOINT",
    Fault.UNREADABLE: "; check HF_ENDPOINT, and proxies on the way to it",
}
_calls_at_work: list[object] = []
"""One entry for each call that is running, in any thread."""
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
        while True:
            _calls_at_work.append(self)
            try:
                result = action()
            except WorkloadError:
                raise
            except Exception as error:  # noqa: BLE001 - the library fails in any way on answers of another form
                caught = error
            else:
                _answered.add(self.api.endpoint)
                return result
            finally:
                _calls_at_work.remove(self)
            self._wait_or_give_up(caught, what, tries, started)

    def _wait_or_give_up(self, caught: Exception, what: str, tries: Counter[object], started: float) -> None:
        error = find_cause(caught)
        fault = self._find_fault(error)
        if fault is None:
            if explained := explain(error, self.location.uri, self._field):
                raise explained from error
            raise caught
        tries[fault] += 1
        jitter, spent = random.random(), time.monotonic() - started  # noqa: S311 - jitter need not be secret
        asked = get_asked_seconds(error)
        pause = compute_pause(fault, tries[fault], asked, jitter, spent)
        if pause is None:
            wish = "" if asked is None else f"; it asks to wait {asked:,.0f} s"
            raise TemporaryError(
                f"could not {what} {self.location.uri} at {self.api.endpoint}, tried {tries[fault]} times: "
                f"{fault.value} ({describe(error)}){wish}{_REMEDIES.get(fault, '')}",
                reason=Reason.HUB_UNREACHABLE if fault is Fault.UNREACHABLE else Reason.HUB_UNAVAILABLE,
            ) from error
        self._pause(fault.value, pause)

    def _pause(self, reason: str, seconds: float) -> None:
        while seconds > 0:
            self._on_wait(Waiting(reason, seconds))
            time.sleep(min(seconds, _MAX_SILENT_SECONDS))
            seconds -= _MAX_SILENT_SECONDS

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
    client.event_hooks = {**client.event_hooks, "response": [_check_response]}
    return client


def _check_response(response: Any) -> None:
    """Raise where the library would sleep as long as the server asks, unseen, and for a day if asked for a day; and
    where it would take a page or a redirect of a proxy for the answer to a request whose answer it does not read.

    Only in our own calls: the client is that of all code in this process.
    """
    if not _calls_at_work:
        return
    if response.status_code == 429 or (response.status_code >= 500 and "retry-after" in response.headers):
        try:
            hf_raise_for_status(response)
        except HfHubHTTPError:
            raise
        except Exception as error:  # its body has another form than the library expects
            raise HfHubHTTPError("the Hub asks to wait", response=response) from error
    request = f"{response.request.method} {response.url.path}"
    if response.status_code in {301, 302, 303} and response.request.method in {"POST", "PUT", "DELETE"}:
        raise OddAnswerError(f"{request} was redirected")
    is_page = response.headers.get("content-type", "").startswith("text/html")
    if response.is_success and is_page and "/api/" in response.url.path:
        raise OddAnswerError(f"{request} was answered with an HTML page")


set_client_factory(_build_client)
disable_progress_bars()
