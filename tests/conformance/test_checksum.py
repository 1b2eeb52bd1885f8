"""tus 1.0, checksum and checksum-trailer (T140 to T150)."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable

import pytest
import xxhash

from tests.deadline import eventually
from tests.endpoint import Endpoint, checksum
from tests.wire import CHUNKED, OCTETS, Answer, render_chunks, render_request

TRAILER = {"Trailer": "Upload-Checksum", "Content-Type": OCTETS, **CHUNKED}
BIG = bytes(range(256)) * 12_000


def encoded(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def crc32c_of_byte(value: int) -> int:
    """Return one entry of the table of CRC-32C (RFC 3720 appendix B.4)."""
    for _ in range(8):
        value = value >> 1 ^ 0x82F63B78 * (value & 1)
    return value


CRC32C = [crc32c_of_byte(value) for value in range(256)]


def crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ CRC32C[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


OTHERS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "crc32c": lambda data: crc32c(data).to_bytes(4, "big"),
    "xxh3-64": xxhash.xxh3_64_digest,
    "xxh128": xxhash.xxh3_128_digest,
}
ALGORITHMS = ["sha1", "sha256", "sha512", "md5", *OTHERS]


def field(algorithm: str, data: bytes) -> str:
    if algorithm in OTHERS:
        return f"{algorithm} {encoded(OTHERS[algorithm](data))}"
    return checksum(algorithm, data)


def append_with_trailer(
    endpoint: Endpoint, upload: str, offset: int, pieces: list[bytes], trailers: bytes
) -> Answer:
    fields = {**TRAILER, "Upload-Offset": str(offset)}
    body = render_chunks(pieces, trailers)
    return endpoint.exchange(render_request("PATCH", upload, fields, body))


def test_the_example_of_the_specification(tus: Endpoint) -> None:
    """T140."""
    upload = tus.create(11)
    sent = {"Upload-Checksum": "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="}
    answer = tus.append(upload, 0, b"hello world", sent)
    assert (answer.status, answer["Upload-Offset"]) == (204, "11")
    tus.assert_holds(upload, b"hello world")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [1, 11, 100_000, 3_000_000])
def test_a_wrong_checksum_is_460_and_the_chunk_is_discarded(
    tus: Endpoint, size: int, *, chunked: bool
) -> None:
    """T141 and T150: and the same bytes are taken when they come again."""
    upload = tus.create_holding(b"kept", size + 4)
    body = (BIG * 2)[:size]
    fields = {"Upload-Offset": "4", "Content-Type": OCTETS, **(CHUNKED if chunked else {})}
    framed = render_chunks([body[:1], body[1:]]) if chunked else body
    wrong = {**fields, "Upload-Checksum": checksum("sha1", b"something else")}
    answer = tus.ask("PATCH", upload, wrong, framed)
    assert (answer.status, answer.reason) == (460, "Checksum Mismatch")
    assert "Upload-Offset" not in answer
    tus.assert_holds(upload, b"kept")
    right = {**fields, "Upload-Checksum": checksum("sha1", body)}
    assert tus.ask("PATCH", upload, right, framed).status == 204
    tus.assert_holds(upload, b"kept" + body)


@pytest.mark.parametrize(
    "value",
    [
        *("foo AAAA", "sha1", "sha1 ", "", " ", "sha1 !!!", "sha1  Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
        *("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0", "sha1 Kq5sNclPz7QV2-lfQIuc6R7oRu0=", "sha1 AAAA"),
        *("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0= x", "sha256 Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
        *("SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "Sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
        *("sha1\tKq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha1=Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
        "sha1 2aae6c35c94fcfb415dbe95f408b9ce91ee846ed",
        "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=,sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
    ],
)
def test_a_checksum_that_cannot_be_read_is_400(tus: Endpoint, value: str) -> None:
    """T142, T143 and T145."""
    upload = tus.create(11)
    answer = tus.append(upload, 0, b"hello world", {"Upload-Checksum": value})
    assert answer.status == 400
    tus.assert_holds(upload, b"")


@pytest.mark.parametrize("size", [0, 1, 20_000, 200_000])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_that_is_advertised_works(tus: Endpoint, algorithm: str, size: int) -> None:
    """T144."""
    listed = tus.ask("OPTIONS", tus.base)["Tus-Checksum-Algorithm"].split(",")
    assert set(listed) == set(ALGORITHMS)
    body = BIG[:size]
    upload = tus.create(size)
    wrong = {"Upload-Checksum": field(algorithm, body + b"!")}
    assert tus.append(upload, 0, body, wrong).status == 460
    tus.assert_holds(upload, b"")
    right = {"Upload-Checksum": field(algorithm, body)}
    assert tus.append(upload, 0, body, right).status == 204
    tus.assert_holds(upload, body)


@pytest.mark.parametrize("cut", ["fin", "reset"])
@pytest.mark.parametrize("size", [10, 100_000, 3_000_000])
def test_a_checked_chunk_that_is_cut_off_is_discarded(tus: Endpoint, size: int, cut: str) -> None:
    """T146: nobody can verify it; nor is it visible while it comes."""
    upload = tus.create_holding(b"kept", 5_000_004)
    fields = {
        "Upload-Offset": "4",
        "Content-Type": OCTETS,
        "Content-Length": "5000000",
        "Upload-Checksum": checksum("sha1", b""),
    }
    with tus.connect() as wire:
        wire.send(render_request("PATCH", upload, fields))
        wire.send((BIG * 2)[:size])
        assert tus.offset(upload) == 4
        if cut == "reset":
            wire.reset()
    assert tus.offset(upload) == 4
    eventually(lambda: tus.stored(upload) == b"kept")
    answer = tus.append(upload, 4, b"more", {"Upload-Checksum": checksum("sha1", b"more")})
    assert answer.status == 204
    tus.assert_holds(upload, b"keptmore")


def test_a_takeover_discards_a_chunk_that_was_not_verified(tus: Endpoint) -> None:
    """T146 and T076."""
    upload = tus.create(1000)
    fields = {
        "Upload-Offset": "0",
        "Content-Type": OCTETS,
        "Content-Length": "1000",
        "Upload-Checksum": checksum("sha1", b"a" * 1000),
    }
    with tus.connect() as wire:
        wire.send(render_request("PATCH", upload, fields))
        wire.send(b"a" * 500)
        assert tus.offset(upload) == 0
        assert tus.append(upload, 0, b"b" * 1000).status == 204
    tus.assert_holds(upload, b"b" * 1000)


@pytest.mark.parametrize("size", [11, 200_000])
@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "crc32c"])
def test_a_trailer_is_checked(tus: Endpoint, algorithm: str, size: int) -> None:
    """T147."""
    body = BIG[:size]
    upload = tus.create(size)
    pieces = [body[:3], body[3:]]
    wrong = f"Upload-Checksum: {field(algorithm, body + b'!')}\r\n".encode()
    assert append_with_trailer(tus, upload, 0, pieces, wrong).status == 460
    tus.assert_holds(upload, b"")
    right = f"upload-checksum: {field(algorithm, body)}\r\n".encode()
    answer = append_with_trailer(tus, upload, 0, pieces, right)
    assert (answer.status, answer["Upload-Offset"]) == (204, str(size))
    tus.assert_holds(upload, body)


@pytest.mark.parametrize(
    "trailers",
    [
        b"",
        b"X-Other: 1\r\n",
        b"Upload-Checksum: foo AAAA\r\n",
        b"Upload-Checksum:\r\n",
        b"Upload-Checksum: sha1 AAAA\r\n",
        b"Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=\r\n" * 2,
    ],
)
def test_a_trailer_that_does_not_come_or_cannot_be_read_is_400(
    tus: Endpoint, trailers: bytes
) -> None:
    """T148."""
    upload = tus.create(11)
    answer = append_with_trailer(tus, upload, 0, [b"hello ", b"world"], trailers)
    assert answer.status == 400
    tus.assert_holds(upload, b"")


def test_a_checksum_in_the_head_and_one_in_the_trailer_is_400(tus: Endpoint) -> None:
    """T149."""
    upload = tus.create(11)
    right = checksum("sha1", b"hello world")
    fields = {**TRAILER, "Upload-Offset": "0", "Upload-Checksum": right}
    body = render_chunks([b"hello world"], f"Upload-Checksum: {right}\r\n".encode())
    assert tus.exchange(render_request("PATCH", upload, fields, body)).status == 400
    tus.assert_holds(upload, b"")


def test_a_trailer_that_was_not_announced_is_never_taken_for_verified(tus: Endpoint) -> None:
    """T149: ignored, or refused; a wrong one must not pass as a right one."""
    upload = tus.create(11)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, **CHUNKED}
    wrong = f"Upload-Checksum: {checksum('sha1', b'other')}\r\n".encode()
    body = render_chunks([b"hello world"], wrong)
    answer = tus.exchange(render_request("PATCH", upload, fields, body))
    assert answer.status in {204, 400, 460}
    tus.assert_holds(upload, b"hello world" if answer.status == 204 else b"")


def test_a_client_that_went_away_after_460_may_send_the_chunk_again(tus: Endpoint) -> None:
    """T150."""
    upload = tus.create(5)
    request = tus.render_append(
        upload, 0, b"hellO", {"Upload-Checksum": checksum("sha1", b"hello")}
    )
    with tus.connect() as wire:
        assert wire.ask(request).status == 460
        wire.reset()
    right = {"Upload-Checksum": checksum("sha1", b"hello")}
    assert tus.append(upload, 0, b"hello", right).status == 204
    tus.assert_holds(upload, b"hello")


def test_a_checksum_while_the_extension_is_off_is_404(plain: Endpoint) -> None:
    """T142: a disabled extension."""
    upload = plain.create(5)
    sent = {"Upload-Checksum": checksum("sha1", b"hello")}
    assert plain.append(upload, 0, b"hello", sent).status == 404
    plain.assert_holds(upload, b"")
