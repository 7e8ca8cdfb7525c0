"""How long the log of a pod may be silent."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deepsynth_client.cluster.pod_logs import read_log


class FakeApi:
    def __init__(self) -> None:
        self.seconds: list[float | None] = []

    @contextmanager
    def stream(self, *_: Any, seconds: float | None = None) -> Iterator[Iterator[bytes]]:
        self.seconds.append(seconds)
        yield iter([b"2026-01-01T00:00:00Z a line"])

    def request(self, *_: Any) -> Any:
        return {"status": {"phase": "Succeeded"}}


@pytest.mark.parametrize(("follow", "seconds"), [(False, 60), (True, None)])
def test_only_a_log_that_is_followed_may_be_silent_without_limit(follow: bool, seconds: float | None) -> None:
    api: Any = FakeApi()
    assert list(read_log(api, "default", "pod", "main", follow=follow)) == ["a line"]
    assert api.seconds == [seconds]
