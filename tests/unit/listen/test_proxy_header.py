"""The PROXY header: both versions, however they are cut, and nothing that only looks like one."""

from __future__ import annotations

import ipaddress
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.listen.proxy_header import (
    LARGEST_PAYLOAD,
    LONGEST_LINE,
    SIGNATURE,
    ProxyHeader,
    ProxyHeaderError,
)


def read(data: bytes, step: int = 1 << 20) -> tuple[str | None, bytes]:
    """Read a header in steps of at most *step*; return the address and what follows."""
    header, at = ProxyHeader(), 0
    while header.wanted:
        size = min(header.wanted, step)
        if at == len(data):
            raise EOFError
        piece = data[at : at + size]
        header.feed(piece)
        at += len(piece)
    return header.address, data[at:]


def binary(command: int, family: int, payload: bytes, length: int | None = None) -> bytes:
    """Return a header of version 2."""
    size = len(payload) if length is None else length
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", size) + payload


FOUR = ipaddress.ip_address("192.0.2.1").packed + ipaddress.ip_address("10.0.0.1").packed
SIX = ipaddress.ip_address("2001:db8::1").packed + ipaddress.ip_address("::1").packed
PORTS = struct.pack(">HH", 4242, 80)
TLV = b"\x04\x00\x03abc"

GOOD = [
    (b"PROXY TCP4 192.0.2.1 10.0.0.1 4242 80\r\n", "192.0.2.1:4242"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"),
    (b"PROXY TCP6 2001:db8::1 ::1 4242 80\r\n", "[2001:db8::1]:4242"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN " + b"f" * (LONGEST_LINE - 16) + b"\r\n", None),
    (binary(0x21, 0x11, FOUR + PORTS), "192.0.2.1:4242"),
    (binary(0x21, 0x21, SIX + PORTS), "[2001:db8::1]:4242"),
    (binary(0x21, 0x12, FOUR + PORTS), "192.0.2.1:4242"),
    (binary(0x21, 0x11, FOUR + PORTS + TLV * 100), "192.0.2.1:4242"),
    (binary(0x21, 0x31, b"\0" * 216), None),
    (binary(0x21, 0x00, b""), None),
    (binary(0x21, 0x00, TLV), None),
    (binary(0x20, 0x00, b""), None),
    (binary(0x20, 0x11, FOUR + PORTS), None),
    (binary(0x20, 0x11, b""), None),
]

BAD = [
    b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"PATCH /files/a HTTP/1.1\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 4242\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 4242 80 \r\n",
    b"PROXY  TCP4 192.0.2.1 10.0.0.1 4242 80\r\n",
    b"PROXY TCP4 192.0.2.256 10.0.0.1 4242 80\r\n",
    b"PROXY TCP4 2001:db8::1 ::1 4242 80\r\n",
    b"PROXY TCP6 192.0.2.1 10.0.0.1 4242 80\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 80\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 0080 80\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 4242 80\n\r\n",
    b"PROXY UDP4 192.0.2.1 10.0.0.1 4242 80\r\n",
    b"proxy TCP4 192.0.2.1 10.0.0.1 4242 80\r\n",
    b"PROXY UNKNOWN " + b"f" * 200 + b"\r\n",
    b"PROXY UNKNOWN \xff\xff\r\n",
    b"\r\n\r\n\x00\r\nQUIX\n" + b"\x21\x11\x00\x0c" + FOUR + PORTS,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 30,
    binary(0x11, 0x11, FOUR + PORTS),
    binary(0x22, 0x11, FOUR + PORTS),
    binary(0x21, 0x41, FOUR + PORTS),
    binary(0x21, 0x13, FOUR + PORTS),
    binary(0x21, 0x11, FOUR),
    binary(0x21, 0x21, FOUR + PORTS),
    binary(0x21, 0x31, b"\0" * 215),
    binary(0x21, 0x11, b"", LARGEST_PAYLOAD + 1),
    binary(0x21, 0x11, b"", 65535),
]


@pytest.mark.parametrize(("data", "expected"), GOOD)
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_the_clients_address_is_read_and_not_a_byte_more(
    data: bytes, expected: str | None, step: int
) -> None:
    assert read(data + b"\x16rest", step) == (expected, b"\x16rest")


@pytest.mark.parametrize("data", BAD)
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_what_is_no_header_is_refused(data: bytes, step: int) -> None:
    with pytest.raises(ProxyHeaderError):
        read(data, step)


@pytest.mark.parametrize("data", [data for data, _ in GOOD])
def test_a_header_that_is_cut_is_waited_for(data: bytes) -> None:
    for end in range(len(data)):
        with pytest.raises(EOFError):
            read(data[:end])


@given(st.binary(max_size=300), st.integers(1, 20))
def test_any_bytes_are_a_header_or_refused_whole_and_in_pieces(data: bytes, step: int) -> None:
    def outcome(size: int) -> object:
        try:
            return read(data, size)
        except (ProxyHeaderError, EOFError) as ended:
            return type(ended)

    assert outcome(step) == outcome(1 << 20)


@given(
    st.sampled_from([socket.AF_INET, socket.AF_INET6]),
    st.integers(0, 0xFFFF),
    st.binary(min_size=32, max_size=32),
    st.binary(max_size=64),
    st.integers(1, 40),
)
def test_both_versions_tell_the_same(
    family: int, port: int, addresses: bytes, tlvs: bytes, step: int
) -> None:
    size, kind, name = (4, 0x11, "TCP4") if family == socket.AF_INET else (16, 0x21, "TCP6")
    source, target = addresses[:size], addresses[16 : 16 + size]
    shown = [str(ipaddress.ip_address(each)) for each in (source, target)]
    line = f"PROXY {name} {shown[0]} {shown[1]} {port} 1\r\n".encode()
    payload = source + target + struct.pack(">HH", port, 1) + tlvs
    told, rest = read(line + b"x", step)
    assert (told, rest) == read(binary(0x21, kind, payload) + b"x", step)
    assert told == (f"{shown[0]}:{port}" if family == socket.AF_INET else f"[{shown[0]}]:{port}")
