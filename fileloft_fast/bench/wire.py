"""The requests that prepare and check a work; what is measured goes by the native client."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_BODY: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, the fields by their names in lower case, and the beginning of the body."""

    status: int
    fields: Mapping[str, str]
    body: bytes = b""

    @property
    def offset(self) -> int | None:
        """The ``Upload-Offset``, None where it has none."""
        text = self.fields.get("upload-offset", "")
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def path(self) -> str:
        """The path of the ``Location``, "" where it has none."""
        split = urlsplit(self.fields.get("location", ""))
        return split.path + (f"?{split.query}" if split.query else "")

    def said(self) -> str:
        """Return it in a line, for one who looks for what is wrong."""
        text = self.body[:200].decode("utf-8", "replace").strip()
        return f"{self.status} {''.join(c if c.isprintable() else ' ' for c in text)}".strip()


class _FinalResponse(HTTPResponse):
    """What comes after every interim answer: the library itself reads past 100 alone."""

    def begin(self) -> None:
        super().begin()
        while self.status < 200:
            self.headers = None  # type: ignore[assignment] # as before a head was read
            super().begin()


class Client:
    """One connection, made anew where the server closed it. Blocks; for one thread.

    *fields* are in every request.
    """

    def __init__(
        self,
        address: tuple[str, int] | str,
        host: str,
        fields: Mapping[str, str],
        *,
        timeout_s: float = 30,
    ) -> None:
        self._address = address
        self._fields = {"Host": host, **fields}
        self._timeout_s = timeout_s
        self._connection: HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def numeric_address(self) -> tuple[str, int] | str:
        """Return what a name was resolved to, by asking the connection that stands."""
        if isinstance(self._address, str):
            return self._address
        with connect(self._address, self._timeout_s) as sock:
            host, port, *_ = sock.getpeername()
        return host, port

    def ask(
        self,
        method: str,
        path: str,
        fields: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Make a request and read its answer. Raises OSError, ConnectionError for bad HTTP."""
        wanted = {**self._fields, **(fields or {})}
        if method in {"POST", "PATCH"}:
            wanted["Content-Length"] = str(len(body))
        used = self._connection is not None
        try:
            return self._exchange(method, path, wanted, body)
        except (HTTPException, ConnectionError) as error:
            self.close()
            # a server may close a connection that it kept; what was sent to it then was not read
            if not used:
                raise ConnectionError(f"{type(error).__name__}: {error}") from error
        try:
            return self._exchange(method, path, wanted, body)
        except HTTPException as error:
            self.close()
            raise ConnectionError(f"{type(error).__name__}: {error}") from error

    def _exchange(self, method: str, path: str, fields: Mapping[str, str], body: bytes) -> Answer:
        connection = self._connection
        if connection is None:
            connection = HTTPConnection("localhost", timeout=self._timeout_s)
            connection.response_class = _FinalResponse
            connection.sock = connect(self._address, self._timeout_s)
            self._connection = connection
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in fields.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            with connection.getresponse() as response:
                content = response.read(_LONGEST_BODY)
                answer = Answer(
                    response.status,
                    {name.lower(): value for name, value in response.getheaders()},
                    content,
                )
                whole = response.isclosed() or not response.read(1)
        except OSError:
            self.close()
            raise
        if not whole or connection.sock is None:
            self.close()
        return answer


def connect(address: tuple[str, int] | str, timeout_s: float) -> socket.socket:
    """Return a connection to *address*. Raises OSError."""
    if not isinstance(address, str):
        return socket.create_connection(address, timeout_s)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(timeout_s)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock
