"""A tus client that sends one upload in one of several ways, resumes it, and judges its answers.

Whatever the network and the server go through, the offset never goes back, never passes what was
sent, and moves by whole chunks where chunks have checksums. A breach raises AssertionError at once.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from enum import Enum
from typing import ClassVar, Final
from urllib.parse import urlsplit

from tests.wire import CHUNKED, OCTETS, Answer, NoAnswerError, Wire, render_request

INTERRUPTIONS: Final = (ConnectionError, TimeoutError, NoAnswerError)
"""What a client sees when the network or the server goes away."""

_PIECE_BYTES: Final = 131_072
RETRIED: Final = frozenset({409, 423, 503})
"""What a client tries again, after a look."""


class Kind(Enum):
    """A way to send an upload."""

    PLAIN = "plain"
    """One PATCH with everything that is left."""

    CHUNKED = "chunked"
    """The same in chunked coding, its length known to nobody."""

    CREATION = "creation-with-upload"
    """Half of the bytes come with the POST."""

    CHECKED = "checked"
    """Chunks with a sha1 in the head."""

    TRAILER = "trailer"
    """Chunks with a sha1 in the trailers."""


VERIFIED: Final = frozenset({Kind.CHECKED, Kind.TRAILER})


class Refused(AssertionError):  # noqa: N818 - a verdict of the server, not a fault of the client
    """The server answered with something that a client does not try again."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.body!r}")
        self.answer = answer


class TurnedAway(ConnectionError):  # noqa: N818 - as the built-in ones
    """The server asked to be tried again: as good as a broken connection."""


class Sender:
    """One upload of *content* to the server at *address*, which may be set anew."""

    kinds: ClassVar[tuple[Kind, ...]] = tuple(Kind)
    """The ways in which this client sends."""

    named_early: ClassVar[bool] = False
    """Whether an upload is known by its name before its creation is answered."""

    def __init__(
        self,
        address: tuple[str, int],
        content: bytes,
        kind: Kind = Kind.PLAIN,
        *,
        chunk: int = 1_048_576,
        on_sent: Callable[[int], object] = lambda _: None,
    ) -> None:
        self.address = address
        self.content = content
        self.kind = kind
        self.chunk = chunk
        self.path = ""
        self.acknowledged = 0
        """The most that an answer has said to be stored."""
        self.reached = 0
        """Where the last byte ends that was given to the network."""
        self.interruptions = 0
        self._on_sent = on_sent
        self._wire: Wire | None = None

    @property
    def complete(self) -> bool:
        """Whether the server has acknowledged every byte."""
        return bool(self.path) and self.acknowledged == len(self.content)

    def close(self) -> None:
        """Close the connection, if one is open."""
        if self._wire is not None:
            self._wire.socket.close()
            self._wire = None

    def adopt(self, other: Sender) -> None:
        """Go on with the upload that *other* began."""
        self.path = other.path
        self.reached = len(self.content)

    def finish(self, interruptions: int = 1000) -> None:
        """Create, send and resume until the upload is complete, through as many *interruptions*."""
        while not self.complete:
            try:
                if not self.path:
                    self.create()
                else:
                    self.look()
                while not self.complete:
                    self.send()
            except INTERRUPTIONS:
                self.close()
                self.interruptions += 1
                assert self.interruptions <= interruptions, "interrupted too often"
        self.close()

    def create(self) -> None:
        """POST; with half of the bytes where that is the kind."""
        fields: dict[str, str | None] = {"Upload-Length": str(len(self.content))}
        body = b""
        if self.kind is Kind.CREATION:
            body = self.content[: len(self.content) // 2]
            fields["Content-Type"] = OCTETS
        answer = self._exchange("POST", "/files/", fields, body)
        if answer.status != 201:
            raise TurnedAway if answer.status in RETRIED else Refused(answer)
        self.path = urlsplit(answer["Location"]).path
        if body:
            self._learn(int(answer["Upload-Offset"]))

    def look(self) -> int:
        """HEAD, and go on from what it says."""
        answer = self._exchange("HEAD", self.path, {})
        if answer.status != 200:
            raise TurnedAway if answer.status in RETRIED else Refused(answer)
        assert int(answer["Upload-Length"]) == len(self.content)
        self._learn(int(answer["Upload-Offset"]))
        return self.acknowledged

    def send(self, *, truthful: bool = True) -> Answer:
        """PATCH once from where the server is; without truth, bytes that its checksum does not fit.

        An answer that a client tries again after HEAD is taken so; another raises Refused.
        """
        start = self.acknowledged
        end = start + self.chunk if self.kind in VERIFIED else len(self.content)
        body = self.content[start:end]
        fields: dict[str, str | None] = {"Upload-Offset": str(start), "Content-Type": OCTETS}
        digest = f"sha1 {base64.b64encode(hashlib.sha1(body).digest()).decode()}"
        if not truthful:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if self.kind is Kind.CHECKED:
            fields["Upload-Checksum"] = digest
        elif self.kind is Kind.TRAILER:
            fields["Trailer"] = "Upload-Checksum"
        self.reached = max(self.reached, start + len(body)) if truthful else self.reached
        answer = self._exchange("PATCH", self.path, fields, body, f"Upload-Checksum: {digest}\r\n")
        if answer.status == 204:
            assert truthful, "a body that does not fit its checksum was accepted"
            assert int(answer["Upload-Offset"]) == start + len(body), answer
            self._learn(start + len(body))
        elif answer.status in RETRIED:
            self.close()
            self.look()
        elif truthful or answer.status != 460:
            raise Refused(answer)
        return answer

    def _exchange(
        self,
        method: str,
        target: str,
        fields: dict[str, str | None],
        body: bytes = b"",
        trailer: str = "",
    ) -> Answer:
        chunked = method == "PATCH" and self.kind in {Kind.CHUNKED, Kind.TRAILER}
        framing = CHUNKED if chunked else {"Content-Length": str(len(body))} if body else {}
        if method == "POST":
            self.reached = len(body)
        if self._wire is None:
            self._wire = Wire(self.address)
        self._wire.send(render_request(method, target, {**fields, **framing}))
        self._wire.send_pieces(self._pieces(body, chunked=chunked))
        if chunked:
            ending = trailer if self.kind is Kind.TRAILER else ""
            self._wire.send_pieces([f"0\r\n{ending}\r\n".encode()])
        answer = self._wire.read(head=method == "HEAD")
        if answer.closes:
            self.close()
        return answer

    def _pieces(self, body: bytes, *, chunked: bool) -> Iterator[bytes]:
        for at in range(0, len(body), _PIECE_BYTES):
            piece = body[at : at + _PIECE_BYTES]
            yield b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
            self._on_sent(len(piece))

    def _learn(self, offset: int) -> None:
        """Judge an offset that the server tells, and go on from it."""
        assert offset >= self.acknowledged, f"went back from {self.acknowledged} to {offset}"
        assert offset <= self.reached, f"{offset} told, {self.reached} sent"
        if self.kind in VERIFIED:
            whole = offset % self.chunk == 0 or offset == len(self.content)
            assert whole, f"{offset} lies inside a chunk that was not verified"
        self.acknowledged = offset
