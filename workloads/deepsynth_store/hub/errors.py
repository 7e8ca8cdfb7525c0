"""What an error of the Hub's client means: repeat the call, or show the user an error."""

import importlib
import json
import re
from collections.abc import Mapping
from typing import Final

from huggingface_hub import get_token
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from deepsynth_api.errors import ConfigurationError, DataError, WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_store.hub.backoff import Fault

HTTP_ERROR: Final[type[BaseException]] = HfHubHTTPError.__bases__[0]
"""Base class of all errors of the HTTP library that huggingface_hub uses: httpx up to 1.x, httpx2 since 2.0."""

_HTTP_LIBRARY: Final = importlib.import_module(HTTP_ERROR.__module__.partition(".")[0])
_NO_CONNECTION: Final[tuple[type[BaseException], ...]] = (_HTTP_LIBRARY.ConnectError, _HTTP_LIBRARY.ConnectTimeout)


def find_cause(error: BaseException) -> BaseException:
    """The actual error: the library wraps errors of an upload into a RuntimeError, of a download into a
    LocalEntryNotFoundError.
    """
    is_wrapper = isinstance(error, RuntimeError | LocalEntryNotFoundError)
    return error.__cause__ if is_wrapper and error.__cause__ else error


def classify(error: BaseException) -> Fault | None:
    """None when repeating the call would not help. UNREACHABLE: there was no connection this time."""
    if isinstance(error, HfHubHTTPError):
        return _classify_status(error.response.status_code)
    if isinstance(error, RuntimeError):  # another thread closed the shared client after a refused connection
        return Fault.UNAVAILABLE if "client has been closed" in str(error) else None
    if isinstance(error, OfflineModeIsEnabled):
        return None
    if isinstance(error, _NO_CONNECTION):
        return Fault.UNREACHABLE
    # Builtin connection errors come from the Xet library, JSON errors from proxies that answer with an HTML page.
    unavailable = (HTTP_ERROR, json.JSONDecodeError, ConnectionError, TimeoutError)
    return Fault.UNAVAILABLE if isinstance(error, unavailable) else None


def _classify_status(status: int) -> Fault | None:
    if status in {409, 412}:
        return Fault.CONFLICT
    if status == 429:
        return Fault.THROTTLED
    return Fault.UNAVAILABLE if status == 408 or status >= 500 else None


def get_asked_seconds(error: BaseException) -> float | None:
    """How long the server asks to wait before the next try, None if it does not say."""
    if not isinstance(error, HfHubHTTPError):
        return None
    return parse_asked_seconds(error.response.headers)


def parse_asked_seconds(headers: Mapping[str, str]) -> float | None:
    """From `RateLimit: "api";r=0;t=55` (nothing remaining, 55 s to the next window) or `Retry-After: 55`."""
    if match := re.search(r"\br=0\b.*\bt=(\d+)", headers.get("ratelimit", "")):
        return float(match.group(1))
    after = headers.get("retry-after", "")
    return float(after) if after.isdigit() else None


def describe(error: BaseException) -> str:
    """One line, without the query of the URL (it holds the signature of an upload) and without the token."""
    if not isinstance(error, HfHubHTTPError):
        text = f"{type(error).__name__}: {error}"
    else:
        request = error.response.request
        said = error.server_message or error.response.headers.get("x-error-message") or "no reason given"
        text = f"HTTP {error.response.status_code} to {request.method} {request.url.path}: {said}"
    token = get_token()
    return text.replace(token, "***") if token else text


def explain(error: BaseException, uri: str, field: str) -> WorkloadError | None:
    """What to show the user for an error that repeating does not fix; None if the error is not the Hub's."""
    if isinstance(error, OfflineModeIsEnabled):
        return ConfigurationError(f"{field}: {uri} cannot be reached while HF_HUB_OFFLINE is set; unset it")
    if not isinstance(error, HfHubHTTPError):
        return None
    if isinstance(error, EntryNotFoundError):
        return DataError(f"a file of {uri} is missing: {describe(error)}")
    return ConfigurationError(f"{field}: {_explain_refusal(error, uri, field)}", reason=Reason.HUB_REFUSED)


def _explain_refusal(error: HfHubHTTPError, uri: str, field: str) -> str:
    status = error.response.status_code
    which = "the token in HF_TOKEN (key of the Secret that secretRef names)"
    if isinstance(error, GatedRepoError):
        return f"{uri} is gated; accept its conditions on its page, with the account whose token is in HF_TOKEN"
    if isinstance(error, RevisionNotFoundError):
        return f"{uri} has no such revision ({describe(error)}); fix {field.removesuffix('.uri')}.revision"
    if status == 401 and not get_token():
        return f"{uri} was not found without a token; add the key HF_TOKEN to the Secret that secretRef names"
    if status == 401:
        return f"the Hub does not accept the token in HF_TOKEN for {uri} (invalid or expired); replace that key"
    if status == 403:
        return f"{which} has no right to do this to {uri} ({describe(error)})"
    if isinstance(error, RepositoryNotFoundError):
        return f"{uri} does not exist, or {which} has no access to it"
    return f"the Hub refused a request about {uri} ({describe(error)})"
