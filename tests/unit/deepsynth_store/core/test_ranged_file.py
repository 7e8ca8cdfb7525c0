"""A file on a server as a local one."""

from deepsynth_store.core.ranged_file import open_ranged, read_parts


def test_a_file_that_is_read_as_a_whole_costs_few_requests() -> None:
    content, requests = bytes(range(256)) * 80_000, list[tuple[int, int]]()

    def fetch(start: int, length: int) -> bytes:
        requests.append((start, length))
        return content[start : start + length]

    with open_ranged(len(content), fetch) as file:
        assert b"".join(read_parts(file)) == content
    assert len(requests) == 3, "parts of 8 MiB, of 20 MB"
