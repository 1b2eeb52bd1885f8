"""The end of a server that another one follows."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from typing import TYPE_CHECKING, cast

import uvloop

from fileloft_fast.http1.site import Site
from fileloft_fast.listen import Server
from fileloft_fast.model import Response
from tests.wire import render_request

if TYPE_CHECKING:
    from fileloft_fast.dataplane import Engine
    from fileloft_fast.model import Body, RequestHead


class Answerer:
    """Answers everything with 204, after some turns of the loop."""

    async def answer(self, head: RequestHead, body: Body) -> Response:  # noqa: ARG002
        for _ in range(20):
            await asyncio.sleep(0)
        return Response(204)

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        raise AssertionError(error, head)


async def connect_as_it_finishes() -> bytes:
    """Return what a client is answered that the loop accepts in the turn in which it is told."""
    site = Site(loop=asyncio.get_running_loop(), answerer=Answerer(), engine=cast("Engine", None))
    server = Server(site)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        await server.listen([listening])
        with socket.create_connection(listening.getsockname()) as client:
            client.sendall(render_request("OPTIONS", "/files/"))
            await asyncio.sleep(0)  # the loop accepts, and tells of it a turn later
            await server.finish(5.0, asyncio.Event())
            await server.drain(5.0)
            client.settimeout(5.0)
            return client.recv(4096)


def test_who_was_accepted_last_is_answered() -> None:
    assert uvloop.run(connect_as_it_finishes()).startswith(b"HTTP/1.1 204 ")
