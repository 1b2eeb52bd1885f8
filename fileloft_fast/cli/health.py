"""``health``: ask the server that runs with these settings whether it lives.

For a container's HEALTHCHECK and others who have no HTTP client at hand: a status of 0 is yes.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fileloft_fast.config import BindAddress, Settings

_PATIENCE_S: Final = 5.0
_HERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - asked, not bound
_LONGEST_ANSWER: Final = 4096
_REQUEST: Final = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_PROXY: Final = b"PROXY UNKNOWN\r\n"
"""What a proxy says of a connection that is its own."""


def health(settings: Settings) -> int:
    """Print what the server answers, and return 0 where it lives, else 1. Blocks for seconds."""
    try:
        status = _ask(settings)
    except (OSError, ValueError) as error:
        return _failed(f"no answer: {error}")
    if status >= 500:
        return _failed(f"the server answers {status}")
    sys.stdout.write("ok\n")
    return 0


def _ask(settings: Settings) -> int:
    """Return the status that the server answers. Raises OSError, or ValueError for no HTTP."""
    with contextlib.ExitStack() as closing:
        connection = closing.enter_context(_connected(settings))
        if settings.proxy_protocol:
            connection.sendall(_PROXY)
        if settings.unix_socket is None and settings.tls_cert is not None:
            try:
                connection = closing.enter_context(_secured(connection))
            except (ssl.SSLError, ConnectionResetError):
                if settings.tls_client_ca is None:
                    raise
            if settings.tls_client_ca is not None:
                return 200  # a handshake, or that it wants a certificate, is all it gives us
        return _converse(connection)


def _connected(settings: Settings) -> socket.socket:
    """Connect to where the server listens: its Unix socket, or the first of its addresses."""
    if settings.unix_socket is None:
        return socket.create_connection(_address(settings.bind[0]), _PATIENCE_S)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(_PATIENCE_S)
        connection.connect(settings.unix_socket)
    except BaseException:
        connection.close()
        raise
    return connection


def _secured(connection: socket.socket) -> ssl.SSLSocket:
    """Shake hands; whose certificate it is does not matter to one who asks himself."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)


def _converse(connection: socket.socket) -> int:
    """Return the status of the answer to who asks for its health."""
    connection.sendall(_REQUEST)
    return _parse_status(_read_line(connection))


def _address(bind: BindAddress) -> tuple[str, int]:
    """Return where one who listens on *bind* is found from the same host."""
    return _HERE.get(bind.host, bind.host), bind.port


def _read_line(connection: socket.socket) -> bytes:
    """Return the answer up to the end of its first line, or as much of it as there is."""
    answer = b""
    while b"\r\n" not in answer and len(answer) < _LONGEST_ANSWER:
        more = connection.recv(_LONGEST_ANSWER)
        if not more:
            break
        answer += more
    return answer.partition(b"\r\n")[0]


def _parse_status(line: bytes) -> int:
    """Return the status of a status line. Raises ValueError where it is none."""
    words = line.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ValueError(f"not HTTP: {line[:64]!r}")
    return int(words[1])


def _failed(why: str) -> int:
    sys.stderr.write(f"fileloft-fast: {why}\n")
    return 1
