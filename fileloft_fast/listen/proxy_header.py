"""The PROXY header, versions 1 and 2, read without taking a byte of what follows it.

Source: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt. Sans-IO: ``wanted`` says how
many bytes may be read next, so that what follows, a TLS handshake above all, stays in the socket.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
LONGEST_LINE: Final = 107
LARGEST_PAYLOAD: Final = 4096
"""Addresses and TLVs of version 2: the largest of all addresses has 216 bytes, certificates in TLVs
some hundred more; nothing says where it ends but the length, which could be 64 KiB."""

_SHORTEST_LINE: Final = len(b"PROXY UNKNOWN\r\n")
_FIXED: Final = 16
_LINE: Final = re.compile(
    rb"PROXY (?:UNKNOWN(?: [ -~]*)?|(TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+)"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n\Z"
)
_ADDRESS_BYTES: Final = {0x1: 4, 0x2: 16}
_UNIX_BYTES: Final = 216


class ProxyHeaderError(ValueError):
    """What came is no PROXY header: nobody is there who could read an answer."""


class ProxyHeader:
    """One header; ``address`` is the client's, ``ip:port``, or None where the proxy tells none."""

    __slots__ = ("_data", "address", "wanted")

    def __init__(self) -> None:
        self._data = b""
        self.address: str | None = None
        self.wanted = _SHORTEST_LINE
        """Bytes that belong to the header for certain and are still to come; 0 at its end."""

    def feed(self, data: bytes) -> None:
        """Take at most ``wanted`` bytes. Raises ProxyHeaderError where this is no PROXY header."""
        assert 0 < len(data) <= self.wanted
        self._data += data
        if self._data[:1] == b"P":
            self._on_line()
        else:
            self._on_binary()

    def _on_line(self) -> None:
        data = self._data
        if b"PROXY "[: len(data)] != data[:6]:
            raise ProxyHeaderError("no PROXY header")
        if len(data) < _SHORTEST_LINE:
            self.wanted = _SHORTEST_LINE - len(data)
            return
        if data.endswith(b"\r\n"):
            self.wanted = 0
            self.address = _parse_line(data)
            return
        # CR LF is still to come, and of it one byte at least.
        self.wanted = min(1 if data.endswith(b"\r") else 2, LONGEST_LINE - len(data))
        if self.wanted == 0 or b"\n" in data:
            raise ProxyHeaderError("malformed PROXY line")

    def _on_binary(self) -> None:
        data = self._data
        if SIGNATURE[: len(data)] != data[: len(SIGNATURE)]:
            raise ProxyHeaderError("no PROXY header")
        if len(data) < _FIXED:
            self.wanted = _FIXED - len(data)
            return
        length = int.from_bytes(data[14:16], "big")
        if length > LARGEST_PAYLOAD:
            raise ProxyHeaderError("PROXY header too large")
        self.wanted = _FIXED + length - len(data)
        if self.wanted == 0:
            self.address = _parse_binary(data[12], data[13], data[_FIXED:])


def _parse_line(line: bytes) -> str | None:
    match = _LINE.match(line)
    if match is None:
        raise ProxyHeaderError("malformed PROXY line")
    if match[1] is None:
        return None
    version = 4 if match[1] == b"TCP4" else 6
    address = _parse_address(match[2].decode(), version)
    _parse_address(match[3].decode(), version)
    if max(int(match[4]), int(match[5])) > 0xFFFF:
        raise ProxyHeaderError("malformed PROXY line")
    return _shown(address, int(match[4]))


def _parse_address(text: str, version: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ProxyHeaderError("malformed PROXY line") from None
    if address.version != version:
        raise ProxyHeaderError("malformed PROXY line")
    return address


def _parse_binary(command: int, family: int, payload: bytes) -> str | None:
    """Return the client's address of a version 2 header; TLVs behind the addresses are skipped."""
    if command not in {0x20, 0x21}:
        raise ProxyHeaderError("unknown PROXY command")
    kind, transport = family >> 4, family & 0xF
    if kind > 0x3 or transport > 0x2:
        raise ProxyHeaderError("unknown PROXY family")
    if command == 0x20:  # LOCAL: the proxy itself, asking for our health
        return None
    size = _ADDRESS_BYTES.get(kind, 0)
    if len(payload) < (size * 2 + 4 if size else _UNIX_BYTES if kind == 0x3 else 0):
        raise ProxyHeaderError("PROXY header too short for its addresses")
    if not size:
        return None
    port = int.from_bytes(payload[size * 2 : size * 2 + 2], "big")
    return _shown(ipaddress.ip_address(payload[:size]), port)


def _shown(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
