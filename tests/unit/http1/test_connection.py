"""A connection whose answer cannot be sent, and requests that outlive their connection."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from fileloft_fast.http1 import connection as connection_module
from fileloft_fast.model import FileSlice, Response
from tests.native.yard import reset
from tests.unit.http1.teller import Teller, connected, served

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def no_descriptors(_: object) -> int:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def no_memory(*_: object, **__: object) -> Any:
    raise MemoryError


@pytest.mark.parametrize("fails", ["dup", "render_head", "send"])
def test_an_answer_that_cannot_be_sent_ends_the_connection_and_leaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    (tmp_path / "file").write_bytes(b"x" * 10)

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        descriptor = os.open(tmp_path / "file", os.O_RDONLY)
        teller = Teller(Response(200, body=FileSlice(descriptor, 0, 10)))
        async with served(teller) as (site, address):
            with await connected(address) as client:
                if fails == "dup":
                    monkeypatch.setattr(os, "dup", no_descriptors)
                elif fails == "render_head":
                    monkeypatch.setattr(connection_module, "render_head", no_memory)
                else:
                    site.engine.close()  # RuntimeError
                await loop.sock_sendall(client, REQUEST)
                async with asyncio.timeout(60):
                    assert await loop.sock_recv(client, 1000) == b""
                    while site.connections or site.tasks:  # noqa: ASYNC110 - the site has no event
                        await asyncio.sleep(0)
                with pytest.raises(OSError) as closed:
                    os.fstat(descriptor)
                assert closed.value.errno == errno.EBADF

    uvloop.run(scene())


def test_a_drain_waits_for_a_request_whose_client_left() -> None:
    async def scene() -> None:
        teller = Teller(Response(204))
        teller.gate.clear()
        async with served(teller) as (site, address):
            client = await connected(address)
            await asyncio.get_running_loop().sock_sendall(client, REQUEST)
            await teller.asked.wait()
            reset(client)
            async with asyncio.timeout(60):
                while site.connections:  # noqa: ASYNC110 - the site has no event
                    await asyncio.sleep(0)
                site.drain()
                assert not site.emptied.is_set()
                teller.gate.set()
                await site.emptied.wait()
            assert not site.tasks

    uvloop.run(scene())


def test_a_site_without_connections_is_drained_at_once() -> None:
    async def scene() -> None:
        async with served(Teller(Response(204))) as (site, _):
            site.drain()
            assert site.emptied.is_set()

    uvloop.run(scene())


def test_a_request_that_is_cancelled_keeps_neither_its_client_nor_a_drain_waiting() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        teller = Teller(Response(204))
        teller.gate.clear()
        async with served(teller) as (site, address):
            with await connected(address) as client:
                await loop.sock_sendall(client, REQUEST)
                await teller.asked.wait()
                (task,) = site.tasks
                task.cancel()
                async with asyncio.timeout(60):
                    assert await loop.sock_recv(client, 1000) == b""
                    site.drain()
                    await site.emptied.wait()

    uvloop.run(scene())
