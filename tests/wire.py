"""A raw HTTP/1.1 client: sends exactly the bytes it is given, reads exactly one answer at a time.

It judges what it reads: an answer whose framing breaks RFC 9112 fails the test that asked for it.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, Self

from tests.two_way_tls import secured

TUS_VERSION: Final = "1.0.0"
OCTETS: Final = "application/offset+octet-stream"
CHUNKED: Final = {"Transfer-Encoding": "chunked"}

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ([\x20-\x7e]*)")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\x20-\x7e\t]*)")
_READ_BYTES: Final = 1024 * 1024


class BrokenAnswerError(AssertionError):
    """The server's bytes are not a well-formed HTTP/1.1 answer."""


class NoAnswerError(AssertionError):
    """The connection ended before a whole answer came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One final answer, with the 1xx answers that came before it."""

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""
    before: tuple[Answer, ...] = ()
    """The interim answers that came first, in order."""

    @property
    def interim(self) -> tuple[int, ...]:
        """The statuses of the interim answers."""
        return tuple(answer.status for answer in self.before)

    def values(self, name: str) -> list[str]:
        """Return every value of field *name*, in order."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """Return the value of field *name*, None where it is absent; it may not come twice."""
        values = self.values(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        assert value is not None, f"no {name} in {self}"
        return value

    def __contains__(self, name: str) -> bool:
        return bool(self.values(name))

    @property
    def closes(self) -> bool:
        """Whether the answer says that the connection ends after it."""
        return (self.get("Connection") or "").lower() == "close"


def render_request(
    method: str,
    target: str,
    headers: Mapping[str, str | None] | None = None,
    body: bytes = b"",
    *,
    extra: bytes = b"",
) -> bytes:
    """Return a request as bytes, with Host, Tus-Resumable and, where it fits, Content-Length.

    A header given replaces the default of that name; None leaves it away. *extra* is put as it is
    between the fields and the empty line, so it must end with CRLF.
    """
    fields: dict[str, str | None] = {"Host": "upload.example", "Tus-Resumable": TUS_VERSION}
    given = {name.lower() for name in headers or {}}
    fields = {name: value for name, value in fields.items() if name.lower() not in given}
    fields.update(headers or {})
    framed = given & {"content-length", "transfer-encoding"} or b"ontent-" in extra
    if not framed and (body or method in {"POST", "PATCH"}):
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n" + extra + b"\r\n" + body


def render_chunks(pieces: Iterable[bytes], trailers: bytes = b"") -> bytes:
    """Return *pieces* as a chunked body; *trailers* are raw lines, each ended by CRLF."""
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)
    return chunks + b"0\r\n" + trailers + b"\r\n"


class Wire:
    """One TCP connection to a server, under TLS where *tls* is given; *first* goes before that."""

    def __init__(
        self,
        address: tuple[str, int],
        timeout_s: float = 10.0,
        tls: ssl.SSLContext | None = None,
        *,
        first: bytes = b"",
    ) -> None:
        self.socket = socket.create_connection(address, timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if first:
            self.socket.sendall(first)
        if tls is not None:
            self.socket = secured(self.socket, tls, address[0])
        self.leftover = bytearray()
        """Bytes that were received and belong to no answer yet."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of *data*."""
        self.socket.sendall(data)

    def send_pieces(self, pieces: Iterable[bytes]) -> int:
        """Send piece by piece until the server takes no more; return how many bytes it took.

        A server may close while its client still sends: that is no error here.
        """
        sent = 0
        for piece in pieces:
            try:
                self.socket.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                break
            sent += len(piece)
        return sent

    def wait_readable(self, timeout_s: float) -> bool:
        """Wait until something can be read, at most *timeout_s*; return whether it can."""
        return bool(self.leftover) or self._can_receive(timeout_s)

    def _can_receive(self, timeout_s: float) -> bool:
        if isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            return True
        return bool(select.select([self.socket], [], [], timeout_s)[0])

    def half_close(self) -> None:
        """Send FIN and keep reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read(self, *, head: bool = False) -> Answer:
        """Read one final answer; *head* says that it answers HEAD and so has no body."""
        before: list[Answer] = []
        while True:
            answer = self._read_head()
            if answer.status < 200:
                before.append(answer)
                continue
            body = b"" if head or answer.status in {204, 304} else self._read_body(answer)
            return Answer(answer.status, answer.reason, answer.fields, body, tuple(before))

    def read_interim(self, *statuses: int) -> Answer:
        """Read one interim answer, which must be of one of *statuses*."""
        answer = self._read_head()
        assert answer.status in statuses, answer
        return answer

    def maybe_interim(self) -> Answer | None:
        """Return an interim answer that has come whole; None where there is none, at once."""
        while self._can_receive(0):
            if not self._receive():
                break
        whole = b"\r\n\r\n" in self.leftover and self.leftover.startswith(b"HTTP/1.1 1")
        return self._read_head() if whole else None

    def wait_for_continue(self) -> None:
        """Read one 100 Continue."""
        self.read_interim(100)

    def ask(self, request: bytes) -> Answer:
        """Send *request* and read its answer."""
        self.send(request)
        return self.read(head=request.startswith(b"HEAD "))

    def read_to_end(self) -> bytes:
        """Return whatever still comes until the server closes; a reset also ends it."""
        try:
            while self._receive():
                pass
        except ConnectionResetError:
            pass
        rest, self.leftover = bytes(self.leftover), bytearray()
        return rest

    def assert_silent_end(self) -> None:
        """Assert that the server sends nothing more and closes."""
        assert self.read_to_end() == b""

    def _take(self, size: int) -> bytes:
        taken = bytes(self.leftover[:size])
        del self.leftover[:size]
        return taken

    def _receive(self) -> bool:
        data = self.socket.recv(_READ_BYTES)
        self.leftover += data
        return bool(data)

    def _read_head(self) -> Answer:
        while b"\r\n\r\n" not in self.leftover:
            if not self._receive():
                raise NoAnswerError(f"closed after {bytes(self.leftover)!r}")
        end = self.leftover.index(b"\r\n\r\n")
        head = self._take(end)
        self._take(4)
        status_line, *lines = head.split(b"\r\n")
        matched = _STATUS_LINE.fullmatch(status_line)
        if matched is None:
            raise BrokenAnswerError(f"status line {status_line!r}")
        answer = Answer(int(matched[1]), matched[2].decode(), tuple(_fields(lines)))
        if answer.status >= 200:
            _check_final(answer)
        else:
            _check_interim(answer)
        return answer

    def _read_body(self, answer: Answer) -> bytes:
        length = answer.get("Content-Length")
        if length is None:
            if not answer.closes:
                raise BrokenAnswerError(f"no end of the body is known: {answer}")
            return self.read_to_end()
        while len(self.leftover) < int(length):
            if not self._receive():
                raise NoAnswerError(f"body ends after {len(self.leftover)} of {length} bytes")
        return self._take(int(length))


def _fields(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    for line in lines:
        matched = _FIELD.fullmatch(line)
        if matched is None:
            raise BrokenAnswerError(f"field line {line!r}")
        yield matched[1].decode(), matched[2].decode()


def _check_interim(answer: Answer) -> None:
    """Fail where an interim answer has what only the final one may say, or has to."""
    for name in ("Content-Length", "Transfer-Encoding", "Connection", "Date"):
        if name in answer:
            raise BrokenAnswerError(f"{name} in {answer.status}")
    _check_names(answer)


def _check_final(answer: Answer) -> None:
    """Fail where an answer breaks what holds for every answer of this server (H56, H57)."""
    if parsedate_to_datetime(answer["Date"]).utcoffset() is None:
        raise BrokenAnswerError(f"Date is not in GMT: {answer['Date']}")
    if answer.status == 204 and "Content-Length" in answer:
        raise BrokenAnswerError("Content-Length on 204 (RFC 9110 section 8.6)")
    if "Transfer-Encoding" in answer and answer.status in {204, 304}:
        raise BrokenAnswerError("Transfer-Encoding on an answer without a body")
    _check_names(answer)


def _check_names(answer: Answer) -> None:
    if any(name != name.title().replace("Etag", "ETag") for name, _ in answer.fields):
        raise BrokenAnswerError(f"a field name that is not Title-Case: {answer.fields}")
