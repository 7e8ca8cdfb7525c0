"""Forwards connections from a loopback port of the host to the API server: forwarder.py FILE_DESCRIPTOR ADDRESS PORT.

It runs inside the control plane's network namespace and inherits the host's listening socket, so the host needs no
route to the cluster.
"""

import asyncio
import contextlib
import socket
import sys


async def pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(1 << 16):
        target.write(data)
        await target.drain()
    target.write_eof()


async def serve(listener: socket.socket, address: str, port: int) -> None:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                inner_reader, inner_writer = await asyncio.open_connection(address, port)
                with contextlib.closing(inner_writer):
                    # When one direction breaks, close both, or the client would wait for an answer.
                    async with asyncio.TaskGroup() as directions:
                        directions.create_task(pour(reader, inner_writer))
                        directions.create_task(pour(inner_reader, writer))
            except* OSError:
                pass

    server = await asyncio.start_server(carry, sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], int(sys.argv[3])))
