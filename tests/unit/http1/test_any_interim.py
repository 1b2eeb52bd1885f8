"""Whatever is announced, and whenever: an interim answer comes with its request, or not at all."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, cast

from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.http1.connection import Connection
from fileloft_fast.http1.site import Site
from fileloft_fast.model import Response
from tests.wire import render_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fileloft_fast.model import Body, RequestHead

_OF: Final = re.compile(rb"\r\nOf: (\S+)")


@dataclass(frozen=True)
class Asked:
    """One request: what it is like, and what is announced at which of its turns."""

    size: int
    chunked: bool
    expects: bool
    http10: bool
    turns: tuple[str, ...]

    def render(self, number: int) -> bytes:
        version = b"1.0" if self.http10 else b"1.1"
        framed = not self.http10 and self.chunked
        body = bytes(self.size)
        lines = [b"POST /%d HTTP/%s" % (number, version), b"Host: a", b"Connection: keep-alive"]
        if self.expects:
            lines.append(b"Expect: 100-continue")
        lines.append(b"Transfer-Encoding: chunked" if framed else b"Content-Length: %d" % self.size)
        sent = render_chunks([body]) if framed else body
        return b"\r\n".join(lines) + b"\r\n\r\n" + sent


asked = st.builds(
    Asked,
    size=st.sampled_from([0, 1, 700, 3000]),
    chunked=st.booleans(),
    expects=st.booleans(),
    http10=st.booleans(),
    turns=st.lists(st.sampled_from(["name", "tell", "read", "wait"]), max_size=7).map(tuple),
)


@dataclass
class Line:
    """A transport of which the test says when its client reads."""

    written: list[bytes] = field(default_factory=list)
    reads: bool = True

    def set_write_buffer_limits(self, _high: int, _low: int) -> None: ...

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 50000) if name == "peername" else None

    def get_write_buffer_size(self) -> int:
        return 1

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        assert self.reads or b" 104 " not in data[:20] or b"Location: " in data
        self.written.append(data)


class Server:
    """Announces what the request says, and takes note of what was sent by its own account."""

    def __init__(self, requests: Sequence[Asked]) -> None:
        self.requests = requests
        self.sent: list[list[str]] = [[] for _ in requests]
        self.bodies: list[Body] = []
        self.errors: list[object] = []

    async def answer(self, head: RequestHead, body: Body) -> Response:
        number = int(head.path[1:])
        for late in self.bodies:
            assert not late.announce(_interim("name", -1))
        self.bodies.append(body)
        for turn in self.requests[number].turns:
            if turn == "read":
                await body.read()
            elif turn == "wait":
                await asyncio.sleep(0)
            elif body.announce(_interim(turn, number)):
                self.sent[number].append(turn)
        while await body.read():
            pass
        return Response(204, (("Of", f"{number}"),))

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        self.errors.append((error, head))
        return Response(500)


def _interim(kind: str, number: int) -> Response:
    own = (("Location", "/a"),) if kind == "name" else (("Upload-Offset", "1"),)
    return Response(104, (*own, ("Of", f"{number}-{kind}")))


def _of(head: bytes) -> str:
    """Return which request an answer says it is of."""
    matched = _OF.search(head)
    return "" if matched is None else matched[1].decode()


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[start:end] for start, end in pairwise(at)]


@given(
    requests=st.lists(asked, min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 9000), max_size=12),
    reads=st.lists(st.booleans(), min_size=1, max_size=8),
)
def test_each_request_has_what_was_announced_for_it_and_then_its_final_answer(
    requests: list[Asked], cuts: list[int], reads: list[bool]
) -> None:
    server, line = Server(requests), Line()

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        site = Site(loop=loop, answerer=server, engine=cast("Any", None))
        connection = Connection(site)
        connection.connection_made(cast("asyncio.Transport", line))
        data = b"".join(each.render(number) for number, each in enumerate(requests))
        for at, piece in enumerate(_pieces(data, cuts)):
            line.reads = reads[at % len(reads)]
            if not line.reads:
                connection.pause_writing()
            site.buffer[: len(piece)] = piece
            connection.buffer_updated(len(piece))
            for _ in range(at % 3):
                await asyncio.sleep(0)
            line.reads = True
            connection.resume_writing()
        async with asyncio.timeout(60):
            while len(server.bodies) < len(requests) or site.running:
                assert not server.errors
                await asyncio.sleep(0)

    asyncio.run(scene())
    *heads, rest = b"".join(line.written).split(b"\r\n\r\n")
    assert rest == b""
    found = [(head[:12], _of(head)) for head in heads]
    expected = []
    for number, each in enumerate(requests):
        expected += [(b"HTTP/1.1 104", f"{number}-{kind}") for kind in server.sent[number]]
        expected.append((b"HTTP/1.1 204", f"{number}"))
        assert not (each.http10 and server.sent[number])
    leave = (b"HTTP/1.1 100", "")
    assert [one for one in found if one != leave] == expected
    waiting = [each for each in requests if each.expects and not each.http10]
    assert found.count(leave) <= len(waiting)
