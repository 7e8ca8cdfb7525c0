"""What an error of the Hub's client means: repeat the call, or show the user an error."""

import importlib
import json
import re
import traceback
from typing import Final

from huggingface_hub import get_token
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from deepsynth_api.errors import ConfigurationError, DataError, WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.asked_seconds import parse_asked_seconds
from deepsynth_store.core.backoff import Fault
from deepsynth_store.core.calls import OddAnswerError

HTTP_ERROR: Final[type[BaseException]] = HfHubHTTPError.__bases__[0]
"""Base class of all errors of the HTTP library that huggingface_hub uses: httpx up to 1.x, httpx2 since 2.0."""

_HTTP_LIBRARY: Final = importlib.import_module(HTTP_ERROR.__module__.partition(".")[0])
_NO_CONNECTION: Final[tuple[type[BaseException], ...]] = (_HTTP_LIBRARY.ConnectError, _HTTP_LIBRARY.ConnectTimeout)
_LIBRARIES: Final = frozenset({"huggingface_hub", _HTTP_LIBRARY.__name__})
_OWN: Final = re.compile(r"deepsynth_\w+")


def find_cause(error: BaseException) -> BaseException:
    """The actual error: the library wraps errors of an upload into a RuntimeError, of a download into a
    LocalEntryNotFoundError.
    """
    is_wrapper = isinstance(error, RuntimeError | LocalEntryNotFoundError)
    return find_cause(error.__cause__) if is_wrapper and error.__cause__ else error


def classify(error: BaseException) -> Fault | None:
    """None when repeating the call would not help. UNREACHABLE: there was no connection this time."""
    if isinstance(error, HfHubHTTPError):
        return _classify_status(error.response.status_code)
    if isinstance(error, RuntimeError) and "client has been closed" in str(error):
        return Fault.UNAVAILABLE  # another thread closed the shared client after a refused connection
    if isinstance(error, OfflineModeIsEnabled | HFValidationError | MemoryError):
        return None
    if isinstance(error, OddAnswerError):
        return Fault.UNREADABLE
    if isinstance(error, _NO_CONNECTION):
        return Fault.UNTRUSTED if "CERTIFICATE_VERIFY_FAILED" in str(error) else Fault.UNREACHABLE
    # Builtin connection errors come from the Xet library, JSON errors from proxies that answer with an HTML page.
    if isinstance(error, (HTTP_ERROR, json.JSONDecodeError, ConnectionError, TimeoutError)):
        return Fault.UNAVAILABLE
    is_local = isinstance(error, OSError) and error.errno is not None  # of a disk
    return Fault.UNREADABLE if not is_local and _was_raised_in_library(error) else None


def _was_raised_in_library(error: BaseException) -> bool:
    """Whether the Hub's client failed in its own code. It takes the shape of answers for granted, so JSON of another
    shape ends as KeyError, TypeError and so on.
    """
    if type(error).__module__.partition(".")[0] in _LIBRARIES:
        return True
    modules = [
        frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    known = [module for module in modules if module in _LIBRARIES or _OWN.fullmatch(module)]
    return bool(known) and known[-1] in _LIBRARIES


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


def describe(error: BaseException) -> str:
    """One line, without the query of the URL (it holds the signature of an upload) and without the token."""
    if not isinstance(error, HfHubHTTPError):
        text = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:500]}"
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
    if isinstance(error, HFValidationError):
        return ConfigurationError(f"{field}: {uri} is not a name that the Hub allows ({describe(error)})")
    if not isinstance(error, HfHubHTTPError):
        return None
    if isinstance(error, EntryNotFoundError):
        return DataError(f"a file of {uri} is missing: {describe(error)}")
    return ConfigurationError(f"{field}: {_explain_refusal(error, uri, field)}", reason=Reason.HUB_REFUSED)


def _explain_refusal(error: HfHubHTTPError, uri: str, field: str) -> str:
    status = error.response.status_code
    which = "the token in HF_TOKEN (key of the Secret that secretRef names)"
    if isinstance(error, GatedRepoError):
        account = "the account whose token is in HF_TOKEN"
        if not get_token():
            account = "your account, and add its token as the key HF_TOKEN to the Secret that secretRef names"
        return f"{uri} is gated; accept its conditions on its page, with {account}"
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
