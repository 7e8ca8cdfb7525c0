import pytest

from deepsynth_store.hub.errors import parse_asked_seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"ratelimit": '"api";r=0;t=55'}, 55),
        ({"ratelimit": '"api";r=3;t=55'}, None),
        ({"ratelimit": '"api";r=3;t=55', "retry-after": "7"}, 7),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({}, None),
    ],
)
def test_the_requested_pause_is_read_from_the_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert parse_asked_seconds(headers) == seconds
