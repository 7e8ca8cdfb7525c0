"""What the answers of object stores mean, as the client library words them."""

import pytest
from obstore.exceptions import GenericError

from deepsynth_store.core.backoff import Fault
from deepsynth_store.objects.errors import classify


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        ("400 Bad Request", "<Error><Code>InvalidBlockList</Code></Error>", Fault.UNREADABLE),
        ("400 Bad Request", "<Error><Code>InvalidPart</Code></Error>", Fault.UNREADABLE),
        ("400 Bad Request", "<Error><Code>InvalidArgument</Code></Error>", None),
        ("400 Bad Request", "<Error><Code>RequestTimeout</Code></Error>", Fault.UNAVAILABLE),
        ("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>", None),
        ("403 Forbidden", "<!DOCTYPE html><html><body>Please log in</body></html>", Fault.UNREADABLE),
        ("409 Conflict", "<Error><Code>OperationAborted</Code></Error>", Fault.UNAVAILABLE),
        ("500 Internal Server Error", "", Fault.UNAVAILABLE),
        ("501 Not Implemented", "<Error><Code>NotImplemented</Code></Error>", None),
        ("503 Service Unavailable", "<Error><Code>SlowDown</Code></Error>", Fault.THROTTLED),
        ("429 Too Many Requests", "", Fault.THROTTLED),
    ],
)
def test_only_answers_that_may_differ_the_next_time_are_repeated(status: str, body: str, fault: Fault | None) -> None:
    text = f"Error performing PUT http://127.0.0.1/b/k in 1ms - Server returned non-2xx status code: {status}: {body}"
    assert classify(GenericError(text)) is fault


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/metadata/identity/oauth2/token",
        "http://127.0.0.1:9/?api-version=2019-08-01&resource=https%3A%2F%2Fstorage.azure.com",
        "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token",
        "http://127.0.0.1:9/latest/meta-data/iam/security-credentials/",
    ],
)
def test_a_silent_metadata_server_means_that_there_are_no_credentials(address: str) -> None:
    text = f"Error performing GET {address} in 1ms - HTTP error: error sending request\n\nkind: Connect,"
    assert classify(GenericError(text)) is Fault.CREDENTIALS
