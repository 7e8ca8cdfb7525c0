"""How long an overloaded store asks its clients to wait.

obstore does not show the headers of an error. So after a 429 or 503 the question is asked again, by one signed request
whose answer is not needed.
"""

import urllib.error
import urllib.request
from datetime import timedelta
from typing import Final

import obstore
from obstore.exceptions import BaseError

from deepsynth_store.core.asked_seconds import parse_asked_seconds
from deepsynth_store.core.uri import ObjectLocation
from deepsynth_store.objects.client import Store

_TIMEOUT_SECONDS: Final = 10.0
_KEY: Final = ".deepsynth-absent"


def ask_retry_after(store: Store, location: ObjectLocation) -> float | None:
    """Seconds; None if the store does not say, answers again, or cannot be asked with these credentials."""
    try:
        url = obstore.sign(store, "HEAD", f"{location.path}/{_KEY}".lstrip("/"), timedelta(minutes=1))
    except (BaseError, ValueError, TypeError):  # a token instead of a key signs no address
        return None
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the scheme is that of the endpoint
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
            return None
    except urllib.error.HTTPError as error:
        with error:
            headers = {name.lower(): value for name, value in error.headers.items()}
            return parse_asked_seconds(headers) if error.code in {429, 503} else None
    except OSError:
        return None
