"""Calling the Hub by its client library.

The client library repeats some of its requests itself, but never a commit, and its requests have no time limit unless
one is set here. It would also sleep as long as a server asks; that is done here, where it is bounded and reported.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, TypedDict, TypeVar

from huggingface_hub import HfApi, constants, set_client_factory
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils._http import default_client_factory, hf_raise_for_status
from huggingface_hub.utils.tqdm import disable_progress_bars

from deepsynth_api.errors import WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.backoff import TRUST_REMEDY, Fault
from deepsynth_store.core.calls import Calls, OddAnswerError
from deepsynth_store.core.interface import OnWait
from deepsynth_store.core.uri import HubLocation
from deepsynth_store.hub.errors import (
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
_calls_at_work: list[object] = []
"""One entry for each call that is running, in any thread."""


class Repository(TypedDict):
    """The arguments that name a repository in calls of the client."""

    repo_id: str
    repo_type: str


class HubCalls(Calls):
    """See Calls. api: the real client, bound to HF_ENDPOINT."""

    server = "the Hub"
    remedies: ClassVar[Mapping[Fault, str]] = {
        Fault.UNREACHABLE: "; check the network and HF_ENDPOINT",
        Fault.UNTRUSTED: TRUST_REMEDY,
        Fault.UNREADABLE: "; check HF_ENDPOINT, and proxies on the way to it",
    }
    unreachable = Reason.HUB_UNREACHABLE
    unavailable = Reason.HUB_UNAVAILABLE

    def __init__(
        self, location: HubLocation, *, field: str, on_wait: OnWait | None, has_answered: bool = False
    ) -> None:
        _decline_xet()
        self.api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
        super().__init__(location.uri, self.api.endpoint, on_wait=on_wait, has_answered=has_answered)
        self.location = location
        self.repo = Repository(repo_id=location.repo_id, repo_type=location.kind)
        self._field = field

    def call(self, what: str, action: Callable[[], T]) -> T:
        def run() -> T:
            _calls_at_work.append(self)
            try:
                return action()
            finally:
                _calls_at_work.remove(self)

        return super().call(what, run)

    def find_cause(self, error: Exception) -> BaseException:
        return find_cause(error)

    def classify(self, error: BaseException) -> Fault | None:
        return classify(error)

    def is_answer(self, error: BaseException) -> bool:
        return isinstance(error, HfHubHTTPError)

    def find_asked_seconds(self, error: BaseException) -> float | None:
        return get_asked_seconds(error)

    def describe(self, error: BaseException) -> str:
        return describe(error)

    def explain(self, error: BaseException) -> WorkloadError | None:
        return explain(error, self.location.uri, self._field)


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
