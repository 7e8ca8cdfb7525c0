"""Reading what somebody else's server sends, but never more than asked for."""

from aiohttp import StreamReader


async def read_at_most(content: StreamReader, limit: int) -> bytes:
    """The first `limit` bytes, or all where there are fewer. The reader's own read(n) returns what has arrived."""
    read = bytearray()
    while len(read) < limit and (chunk := await content.read(limit - len(read))):
        read += chunk
    return bytes(read)
