"""Interim answers: which are sent, when they leave, and who never gets one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
import uvloop

from fileloft_fast.errors import BodyCutError
from fileloft_fast.http1.body import RequestBody
from fileloft_fast.http1.channel import Channel
from fileloft_fast.http1.render import render_interim
from fileloft_fast.http1.site import Patience, Site
from fileloft_fast.model import FileSlice, RequestHead, Response
from tests.native.yard import reset
from tests.unit.http1.teller import connected, served
from tests.unit.sides import LendingSide

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from fileloft_fast.model import Body

NAMED: Final = Response(104, (("Location", "/files/a"),))
PROGRESS: Final = Response(104, (("Upload-Offset", "5"),))
LONG: Final = Response(104, (("Location", "/files/a"), ("Padding", "x" * 60_000)))
DONE: Final = Response(204)
HEAD: Final = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
SENT: Final = b"HTTP/1.1 104 Upload Resumption Supported\r\nLocation: /files/a\r\n\r\n"

Serve = Callable[["RequestHead", "Body"], Awaitable[Response]]


class Server:
    """Answers every request by a function of the test."""

    def __init__(self, serve: Serve) -> None:
        self.answer = serve

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        raise AssertionError((error, head))


class Side(LendingSide):
    """A connection that remembers what was written, and whether its client reads."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.reads = True

    def send_interim(self, data: bytes, *, needed: bool) -> bool:
        if needed or self.reads:
            self.written.append(data)
        return needed or self.reads


def play(
    serve: Serve,
    scene: Callable[[Site, socket.socket], Awaitable[None]],
    *,
    receive_buffer: int | None = None,
    patience: Patience | None = None,
) -> None:
    """Serve one client of the test."""

    async def within() -> None:
        async with (
            served(Server(serve), patience) as (site, address),
            asyncio.timeout(60),
        ):
            with await connected(address, receive_buffer) as client:
                await scene(site, client)

    uvloop.run(within())


async def send(client: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(client, data)


async def received(client: socket.socket, size: int = 65536) -> bytes:
    return await asyncio.get_running_loop().sock_recv(client, size)


async def read_until(client: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        more = await received(client)
        assert more, data
        data += more
    return data


async def connection_of(site: Site) -> Any:
    while not site.connections:  # noqa: ASYNC110 - the site has no event
        await asyncio.sleep(0)
    return next(iter(site.connections))


def body_of(*, http10: bool = False) -> tuple[Side, RequestBody]:
    side = Side()
    head = RequestHead("POST", "/", {}, http10=http10, content_length=5)
    return side, RequestBody(side, cast("asyncio.AbstractEventLoop", None), head)


def test_an_interim_answer_has_the_fields_that_it_was_given_and_no_others() -> None:
    response = Response(104, (("Location", "/a"),), common=(("Tus-Resumable", "1.0.0"),))
    assert render_interim(response) == (
        b"HTTP/1.1 104 Upload Resumption Supported\r\nTus-Resumable: 1.0.0\r\nLocation: /a\r\n\r\n"
    )


@pytest.mark.parametrize("interim", [NAMED, PROGRESS])
@pytest.mark.parametrize("why", ["1.0", "cut", "answered"])
def test_nothing_is_sent_to_who_must_not_have_it(interim: Response, why: str) -> None:
    side, body = body_of(http10=why == "1.0")
    if why == "cut":
        body.cut()
    if why == "answered":
        body.early = None
    assert not body.announce(interim)
    assert (side.written, body.early) == ([], None if why == "answered" else b"")


def test_who_does_not_read_is_told_where_the_upload_is_and_not_how_far() -> None:
    side, body = body_of()
    side.reads = False
    assert (body.announce(NAMED), body.announce(PROGRESS)) == (True, False)
    assert side.written == [SENT]


def test_who_has_sent_everything_is_told_where_the_upload_is_with_the_final_answer() -> None:
    side, body = body_of()
    body.feed(b"12345")
    assert (body.announce(NAMED), body.announce(PROGRESS)) == (True, False)
    assert (side.written, body.early) == ([], SENT)


def test_a_small_upload_gets_both_answers_by_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = Channel.write

    async def noted(channel: Channel, data: bytes) -> bool:
        written.append(data)
        return await write(channel, data)

    monkeypatch.setattr(Channel, "write", noted)

    async def serve(_: RequestHead, body: Body) -> Response:
        assert body.announce(NAMED)
        return DONE

    async def scene(_: Site, client: socket.socket) -> None:
        await send(client, HEAD % 5 + b"12345")
        await read_until(client, b"HTTP/1.1 204")
        assert len(written) == 1
        assert written[0].startswith(SENT + b"HTTP/1.1 204 No Content\r\n")

    play(serve, scene)


def test_what_is_announced_while_the_body_comes_leaves_at_once_and_before_100() -> None:
    async def serve(_: RequestHead, body: Body) -> Response:
        assert body.announce(NAMED)
        while await body.read():
            assert body.announce(PROGRESS) == (body.received < 5)
        return DONE

    async def scene(_: Site, client: socket.socket) -> None:
        expecting = HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
        await send(client, expecting % 5)
        assert await read_until(client, b"100") == SENT + b"HTTP/1.1 100 Continue\r\n\r\n"
        await send(client, b"123")
        assert await read_until(client, b"\r\n\r\n") == render_interim(PROGRESS)
        await send(client, b"45")
        assert (await read_until(client, b"\r\n\r\n")).startswith(b"HTTP/1.1 204")

    play(serve, scene)


def test_an_interim_answer_never_gets_between_those_of_the_next_request() -> None:
    bodies: list[Body] = []

    async def serve(head: RequestHead, body: Body) -> Response:
        bodies.append(body)
        if head.path == "/second":
            assert not bodies[0].announce(NAMED)
            assert body.announce(NAMED)
            await body.read()
        return DONE

    async def scene(site: Site, client: socket.socket) -> None:
        await send(client, HEAD % 0 + HEAD.replace(b"/ ", b"/second ") % 5)
        got = await read_until(client, b"104")
        got += await read_until(client, b"\r\n\r\n") if not got.endswith(b"\r\n\r\n") else b""
        await send(client, b"12345")
        while got.count(b"HTTP/1.1 204") < 2:
            got += await received(client)
        assert [line for line in got.split(b"\r\n") if line.startswith(b"HTTP/1.1")] == [
            b"HTTP/1.1 204 No Content",
            b"HTTP/1.1 104 Upload Resumption Supported",
            b"HTTP/1.1 204 No Content",
        ]
        assert not bodies[1].announce(NAMED)
        assert len(site.connections) == 1

    play(serve, scene)


@pytest.mark.parametrize("kind", ["bytes", "file"])
def test_who_reads_nothing_is_waited_for_until_the_final_answer_has_begun(
    tmp_path: Path, kind: str
) -> None:
    (tmp_path / "file").write_bytes(b"done")
    told: list[bool] = []
    looked = asyncio.Event()

    async def serve(_: RequestHead, body: Body) -> Response:
        while body.announce(PROGRESS):  # until no socket takes more
            assert body.announce(LONG)
        told.append(body.announce(LONG))
        await looked.wait()
        while await body.read():
            pass
        descriptor = os.open(tmp_path / "file", os.O_RDONLY) if kind == "file" else -1
        return Response(200, body=FileSlice(descriptor, 0, 4) if kind == "file" else b"done")

    async def scene(site: Site, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await send(client, HEAD % 5)
        connection = await connection_of(site)
        while not told:  # noqa: ASYNC110 - a list
            await asyncio.sleep(0)
        assert told == [True]
        connection.check(loop.time() + 1.5)
        assert connection in site.connections  # it need not read before it has sent everything
        looked.set()
        await send(client, b"12345")
        while connection._body.early is not None:  # noqa: ASYNC110 - private
            await asyncio.sleep(0)
        connection.check(loop.time() + 0.5)
        assert connection in site.connections
        got = await read_until(client, b"done")
        for interim in (PROGRESS, LONG):
            got = got.replace(render_interim(interim), b"")
        assert got.startswith(b"HTTP/1.1 200 OK\r\n")
        assert got.endswith(b"\r\n\r\ndone")

    play(serve, scene, receive_buffer=65536, patience=Patience(body_s=1.0))


def test_who_reads_neither_interim_nor_final_answer_is_given_up() -> None:
    async def serve(_: RequestHead, body: Body) -> Response:
        while body.announce(PROGRESS):
            assert body.announce(LONG)
        await body.read()
        return DONE

    async def scene(site: Site, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await send(client, HEAD % 5)
        connection = await connection_of(site)
        while connection._writable is None:  # noqa: ASYNC110 - private
            await asyncio.sleep(0)
        await send(client, b"12345")
        while connection._body.early is not None:  # noqa: ASYNC110 - private
            await asyncio.sleep(0)
        connection.check(loop.time() + 1.5)
        while site.connections or site.tasks:  # noqa: ASYNC110 - the site has no event
            await asyncio.sleep(0)

    play(serve, scene, receive_buffer=65536, patience=Patience(body_s=1.0))


def test_who_has_gone_is_told_nothing() -> None:
    told: list[bool] = []

    async def serve(_: RequestHead, body: Body) -> Response:
        with pytest.raises(BodyCutError):
            await body.read()
        told.append(body.announce(NAMED))
        return DONE

    async def scene(site: Site, client: socket.socket) -> None:
        await send(client, HEAD % 5)
        await connection_of(site)
        reset(client)
        while not told:  # noqa: ASYNC110 - a list
            await asyncio.sleep(0)
        assert told == [False]

    play(serve, scene)
