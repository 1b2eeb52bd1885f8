"""A site on loopback whose every answer is the same."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fileloft_fast.dataplane import Engine
from fileloft_fast.http1.connection import Connection
from fileloft_fast.http1.site import Answerer, Patience, Site

if TYPE_CHECKING:
    from fileloft_fast.model import Body, RequestHead, Response


class Teller:
    """Answers every request with the same thing, once *gate* is open."""

    def __init__(self, response: Response, failure: Response | None = None) -> None:
        self.response = response
        self.failure = failure
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, head: RequestHead, body: Body) -> Response:  # noqa: ARG002
        self.asked.set()
        await self.gate.wait()
        return self.response

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        if self.failure is None:
            raise AssertionError((error, head))
        return self.failure


@asynccontextmanager
async def served(
    answerer: Answerer, patience: Patience | None = None
) -> AsyncIterator[tuple[Site, tuple[str, int]]]:
    """Serve on loopback; yield the site and its address."""
    loop = asyncio.get_running_loop()
    engine = Engine(loop)
    site = Site(loop=loop, answerer=answerer, engine=engine, patience=patience or Patience())
    server = await loop.create_server(lambda: Connection(site), "127.0.0.1", 0)
    try:
        yield site, server.sockets[0].getsockname()[:2]
    finally:
        for connection in tuple(site.connections):
            connection.abort()
        server.close()
        await server.wait_closed()
        engine.close()


async def connected(address: tuple[str, int], receive_buffer: int | None = None) -> socket.socket:
    """Return a client's socket, non-blocking."""
    client = socket.socket()
    client.settimeout(0)
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(client, address)
    return client
