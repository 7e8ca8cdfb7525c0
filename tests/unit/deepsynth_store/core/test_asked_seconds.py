from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_store.core.asked_seconds import parse_asked_seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"ratelimit": '"api";r=0;t=55'}, 55),
        ({"ratelimit": '"api";r=3;t=55'}, None),
        ({"ratelimit": '"api";r=3;t=55', "retry-after": "7"}, 7),
        ({"retry-after": " 7 "}, 7),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
        ({"retry-after": "Wednesday, 21-Oct-26 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 08:00:00 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "²"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 99 Oct 2026 99:99:99 GMT"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_the_requested_pause_is_read_from_the_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert parse_asked_seconds(headers) == seconds


def test_without_the_clock_of_the_server_a_date_is_compared_with_our_own() -> None:
    now = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)
    assert parse_asked_seconds({"retry-after": "Wed, 21 Oct 2026 07:29:00 GMT"}, now) == 60
    assert parse_asked_seconds({"retry-after": "Wed, 21 Oct 2026 07:29:00"}, now) == 60


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_any_headers_give_a_number_or_nothing(after: str, limit: str, date: str) -> None:
    seconds = parse_asked_seconds({"retry-after": after, "ratelimit": limit, "date": date})
    assert seconds is None or seconds >= 0
