"""What an error of obstore means: repeat the call, or show the user an error.

The library has few types of errors, and no field for the server's status or code: both are read from the message.
"""

import re
from typing import Final

from obstore.exceptions import (
    BaseError,
    InvalidPathError,
    PermissionDeniedError,
    UnauthenticatedError,
)

from deepsynth_api.errors import ConfigurationError, WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.backoff import Fault
from deepsynth_store.core.calls import OddAnswerError
from deepsynth_store.core.uri import ObjectLocation

_STATUS: Final = re.compile(r"status code: (\d{3})", re.ASCII)
_CODE: Final = re.compile(r"<Code>([^<]{1,100})</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<]{1,500})</Message>")
_NO_BUCKET: Final = re.compile("NoSuchBucket|ContainerNotFound|specified bucket does not exist")
_THROTTLED: Final = re.compile("SlowDown|ServerBusy|TooManyRequests|RequestLimitExceeded|rateLimitExceeded")
_PASSING: Final = re.compile("RequestTimeout|OperationAborted|ConditionalRequestConflict")
_LOST_PARTS: Final = re.compile("InvalidBlockList|InvalidPart")
"""An upload in parts was completed before, and that answer was lost; or a proxy has swallowed a part."""
_REDIRECT: Final = re.compile("redirect without LOCATION|PermanentRedirect|AuthorizationHeaderMalformed")
_METADATA: Final = re.compile(
    r"169\.254\.169\.254|/latest/(api/token|meta-data)|/computeMetadata/|ImdsManagedIdentity"
    r"|api-version=[\d-]+&resource=https%3A%2F%2Fstorage\.azure\.com"
)
"""Where the library looks for the credentials of a machine when the environment has none."""

KEYS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_SERVICE_ACCOUNT_KEY",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "hf": "HF_S3_ACCESS_KEY_ID and HF_S3_SECRET_ACCESS_KEY",
}
"""The keys of a Secret that most users need."""


class ConflictError(Exception):
    """Another writer has changed what this one was about to replace."""


def classify(error: BaseException) -> Fault | None:
    """None when repeating the call would not help, and for what a caller decides about: absences and conditions."""
    if isinstance(error, ConflictError):
        return Fault.CONFLICT
    if isinstance(error, OddAnswerError):
        return Fault.UNREADABLE
    text = str(error)
    if isinstance(error, FileNotFoundError | BaseError) and "<html" in text.lower():  # the page of a proxy
        return Fault.UNREADABLE
    if not isinstance(error, BaseError) or isinstance(error, InvalidPathError) or _REDIRECT.search(text):
        return None
    status = find_status(error)
    if status is not None:
        return _classify_status(status, text)
    if _METADATA.search(text):
        return Fault.CREDENTIALS
    if "InvalidCertificate(" in text:
        return Fault.UNTRUSTED
    if "kind: Connect," in text:
        return Fault.UNREACHABLE
    return Fault.UNAVAILABLE if "kind: " in text else Fault.UNREADABLE


def _classify_status(status: int, text: str) -> Fault | None:
    if status == 429 or (status == 503 and _THROTTLED.search(text)):
        return Fault.THROTTLED
    if status in {408, 409} or (status >= 500 and status != 501) or _PASSING.search(text):
        return Fault.UNAVAILABLE
    return Fault.UNREADABLE if status < 400 or _LOST_PARTS.search(text) else None


def find_status(error: BaseException) -> int | None:
    """The HTTP status in an error's message; None if there was no answer, or one that was not understood."""
    match = _STATUS.search(str(error))
    return int(match.group(1)) if match else None


def describe(error: BaseException) -> str:
    """One line without the address: its query may hold a signature, and bodies repeat what was signed."""
    text = str(error)
    code, message, status = _CODE.search(text), _MESSAGE.search(text), find_status(error)
    if status is not None:
        said = [found.group(1) for found in (code, message) if found]
        return f"HTTP {status}: {': '.join(said) or 'no reason given'}"
    first = re.sub(r"https?://\S*", "", text.splitlines()[0] if text else "")
    return f"{type(error).__name__}: {first[:300]}"


def explain(error: BaseException, location: ObjectLocation, field: str) -> WorkloadError | None:
    """What to show the user for an error that repeating does not fix; None if the error is not the store's."""
    text = str(error)
    if isinstance(error, FileNotFoundError | BaseError) and _NO_BUCKET.search(text):
        remedy = f"no bucket {location.bucket}; create it, or correct the URI or the endpoint"
    elif not isinstance(error, BaseError):
        return None
    elif isinstance(error, InvalidPathError):
        remedy = "it holds an object whose name has empty parts, '.', '..' or control characters "
        remedy += f"({describe(error)}); rename or delete it with the store's own tools"
    elif _METADATA.search(text):
        remedy = f"no credentials; add the keys {KEYS[location.scheme]} to the Secret that secretRef names"
        remedy += ", or give the pods a service account with access (template.serviceAccountName)"
    elif _REDIRECT.search(text):
        remedy = "the bucket is in another region; set the key AWS_REGION in the Secret that secretRef names"
    elif isinstance(error, PermissionDeniedError | UnauthenticatedError) or find_status(error) in {401, 403}:
        remedy = f"access was refused ({describe(error)}); check the credentials in the Secret that secretRef names "
        remedy += "(or those of the service account) and their rights: list, read, and for outputs write and delete"
    elif find_status(error) == 501:
        remedy = f"the store does not implement a request that is needed ({describe(error)}); use another one"
    else:
        remedy = f"the store refused a request ({describe(error)})"
    return ConfigurationError(f"{field}: {location.uri}: {remedy}", reason=Reason.STORE_REFUSED)
