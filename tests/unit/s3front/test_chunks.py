"""aws-chunked bodies: decoded however they are cut, and nothing forged reaches the end."""

from __future__ import annotations

import base64
import io
from typing import Any

import botocore.httpchecksum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from fileloft_fast.dataplane import digest_of
from fileloft_fast.s3front.checksums import parse_expected
from fileloft_fast.s3front.chunks import ChunkDecoder, maybe_decoder, without_aws_chunked
from fileloft_fast.s3front.claim import (
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
    UNSIGNED_PAYLOAD,
)
from fileloft_fast.s3front.codes import S3Error
from fileloft_fast.s3front.signature import Chain, Signed, verify
from tests.unit.s3front.signing import SECRETS
from tests.unit.s3front.streaming import crc32, signed_body, unsigned_body
from tests.unit.s3front.test_examples import AT, SIGNED_CHUNKS, SIGNED_TRAILER

CHAIN = Chain(b"key", "20130524T000000Z", "20130524/us-east-1/s3/aws4_request", "0" * 64)
CRC = "x-amz-checksum-crc32"
CRC64 = "x-amz-checksum-crc64nvme"
KINDS = [STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER]
PIECES = st.lists(st.binary(max_size=300), max_size=4)


def encoded(kind: str, pieces: list[bytes]) -> bytes:
    trailers = [f"{CRC}:{crc32(b''.join(pieces))}"]
    if kind == STREAMING_UNSIGNED_TRAILER:
        return unsigned_body(pieces, trailers)
    return signed_body(CHAIN, pieces, trailers if kind == STREAMING_SIGNED_TRAILER else None)


def decoder(kind: str, length: int) -> ChunkDecoder:
    announced = {CRC} if kind != STREAMING_SIGNED else set()
    return ChunkDecoder(kind, CHAIN, length, frozenset(announced))


def decode(decoder: ChunkDecoder, body: bytes, cuts: list[int] | None = None) -> bytes:
    content = b""
    at = 0
    for end in sorted({*(cut % (len(body) + 1) for cut in cuts or []), len(body)}):
        content += b"".join(decoder.feed(body[at:end]))
        at = end
    decoder.finish()
    return content


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), PIECES, st.lists(st.integers(0, 4000), max_size=8))
def test_the_content_does_not_depend_on_how_the_network_cuts_the_body(
    kind: str, pieces: list[bytes], cuts: list[int]
) -> None:
    content = b"".join(pieces)
    into = decoder(kind, len(content))
    assert decode(into, encoded(kind, pieces), cuts) == content
    assert into.trailers == ({CRC: crc32(content)} if kind != STREAMING_SIGNED else {})


def test_a_body_may_come_byte_by_byte() -> None:
    for kind in KINDS:
        body = encoded(kind, [b"abc", b"\r\n0\r\n"])
        assert decode(decoder(kind, 8), body, [*range(len(body))]) == b"abc\r\n0\r\n"


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(KINDS[:2]), st.data())
def test_no_byte_of_a_signed_body_can_be_changed(kind: str, data: st.DataObject) -> None:
    pieces = [b"a" * 40, b"b" * 9]
    body = encoded(kind, pieces)
    at = data.draw(st.integers(0, len(body) - 1))
    forged = bytearray(body)
    forged[at] = data.draw(st.integers(0, 255).filter(lambda new: new != body[at]))
    try:
        content = decode(decoder(kind, 49), bytes(forged))
    except S3Error:
        return
    # the case of a size or of a trailer's name, and how the line of a trailer ends, say nothing
    assert content == b"".join(pieces)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(KINDS), st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=3))
def test_any_bytes_are_decoded_or_refused_with_an_error_of_s3(
    kind: str, body: bytes, cuts: list[int]
) -> None:
    with pytest.raises(S3Error):
        decode(decoder(kind, 10), body, cuts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_ends_early_is_incomplete(kind: str) -> None:
    body = encoded(kind, [b"abc", b"def"])
    for end in range(len(body)):
        into = decoder(kind, 6)
        into.feed(body[:end])
        with pytest.raises(S3Error) as caught:
            into.finish()
        assert caught.value.code == "IncompleteBody"


@pytest.mark.parametrize("kind", KINDS)
def test_the_content_is_as_long_as_the_request_says(kind: str) -> None:
    body = encoded(kind, [b"abc", b"def"])
    with pytest.raises(S3Error) as caught:
        decode(decoder(kind, 7), body)
    assert caught.value.code == "IncompleteBody"
    with pytest.raises(S3Error, match="longer than x-amz-decoded-content-length"):
        decode(decoder(kind, 5), body)


GOOD = f"{CRC}:{crc32(b'abc')}"
BODIES = {
    "a size without end": b"f" * 5000,
    "no size": b"\r\n",
    "a sign": b"+3\r\nabc\r\n",
    "a size that is too large": b"1" * 17 + b"\r\n",
    "an extension": b"3;x=y\r\nabc\r\n",
    "a bare LF": b"3\nabc\n0\n\n",
    "longer than its size": b"3\r\nabcd\r\n",
    "a trailer that was not announced": b"3\r\nabc\r\n0\r\nx-other: 1\r\n\r\n",
    "no trailer": b"3\r\nabc\r\n0\r\n\r\n",
    "a trailer twice": f"3\r\nabc\r\n0\r\n{GOOD}\r\n{GOOD}\r\n\r\n".encode(),
    "a trailer without name": b"3\r\nabc\r\n0\r\n: 1\r\n\r\n",
    "a signature of nothing": b"3\r\nabc\r\n0\r\nx-amz-trailer-signature:0\r\n\r\n",
    "many trailers": b"3\r\nabc\r\n0\r\n" + b"".join(b"a%d:b\r\n" % n for n in range(50)),
    "more after the end": f"3\r\nabc\r\n0\r\n{GOOD}\r\n\r\n0\r\n\r\n".encode(),
    "half a line after the end": f"3\r\nabc\r\n0\r\n{GOOD}\r\n\r\n0".encode(),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_broken_body_is_refused(name: str) -> None:
    with pytest.raises(S3Error):
        decode(decoder(STREAMING_UNSIGNED_TRAILER, 3), BODIES[name])


def test_chunks_cannot_be_left_out_doubled_or_put_in_another_order() -> None:
    whole = signed_body(CHAIN, [b"aaa", b"bbb"])
    size = whole.index(b"3;", 1)
    first, second, end = whole[:size], whole[size : 2 * size], whole[2 * size :]
    assert decode(decoder(STREAMING_SIGNED, 6), first + second + end) == b"aaabbb"
    for forged in (first + end, second + end, second + first + end, first * 2 + end, end):
        with pytest.raises(S3Error) as caught:
            decode(decoder(STREAMING_SIGNED, len(forged)), forged)
        assert caught.value.code in {"SignatureDoesNotMatch", "IncompleteBody"}


# -- what others send -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "trailers"),
    [(SIGNED_CHUNKS, None), (SIGNED_TRAILER, ["x-amz-checksum-crc32c:sOO8/Q=="])],
)
def test_the_chunks_of_the_documentation_are_verified(
    head: Any, trailers: list[str] | None
) -> None:
    signed = verify(head, SECRETS, AT)
    body = signed_body(signed.chain, [b"a" * 65536, b"a" * 1024], trailers)
    # the signatures that the documentation gives, chunk by chunk
    if trailers is None:
        known = [
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ]
        assert len(body) == int(head.headers["content-length"])
    else:
        known = [
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
            "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
        ]
    assert all(signature.encode() in body for signature in known)
    into = maybe_decoder(head, signed)
    assert into is not None
    content = decode(into, body, [70_000])
    for row in parse_expected(head.headers, signed.payload):
        row.check(digest_of(row.algorithm, content), into.trailers)


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=4000))
def test_what_botocore_sends_in_chunks_is_decoded(content: bytes) -> None:
    crc = botocore.httpchecksum.Crc32Checksum
    wrapper = botocore.httpchecksum.AwsChunkedWrapper(
        io.BytesIO(content), checksum_cls=crc, checksum_name=CRC, chunk_size=1000
    )
    into = decoder(STREAMING_UNSIGNED_TRAILER, len(content))
    assert decode(into, wrapper.read()) == content
    assert into.trailers == {CRC: crc32(content)}


def test_the_trailers_of_minio_go_are_read() -> None:
    # its lines end with a bare LF, and empty lines stand before the signature or after the end
    unsigned = b"3\r\nabc\r\n0\r\n" + GOOD.encode() + b"\n\r\n\r\n"
    assert decode(decoder(STREAMING_UNSIGNED_TRAILER, 3), unsigned) == b"abc"
    signed = signed_body(CHAIN, [b"abc"], [GOOD], "\n\r\n")
    assert decode(decoder(STREAMING_SIGNED_TRAILER, 3), signed) == b"abc"


# -- heads and checksums --------------------------------------------------------------------------


def signed_as(payload: str) -> Signed:
    return Signed("k", payload, [], CHAIN)


def test_a_body_that_is_not_chunked_has_no_decoder() -> None:
    assert maybe_decoder(SIGNED_CHUNKS, signed_as(UNSIGNED_PAYLOAD)) is None
    assert maybe_decoder(SIGNED_CHUNKS, signed_as("0" * 64)) is None


@pytest.mark.parametrize(
    ("length", "code"),
    [(None, "MissingContentLength"), ("-1", "InvalidArgument"), ("9" * 19, "InvalidArgument")],
)
def test_a_chunked_body_says_how_long_its_content_is(length: str | None, code: str) -> None:
    fields = {**SIGNED_CHUNKS.headers, "x-amz-decoded-content-length": length}
    fields = {name: value for name, value in fields.items() if value is not None}
    with pytest.raises(S3Error) as caught:
        maybe_decoder(structs.replace(SIGNED_CHUNKS, headers=fields), signed_as(STREAMING_SIGNED))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("coding", "kept"),
    [("aws-chunked", ""), ("aws-chunked,gzip", "gzip"), ("gzip, AWS-chunked", "gzip"), ("", "")],
)
def test_the_coding_of_the_wire_is_not_kept(coding: str, kept: str) -> None:
    assert without_aws_chunked(coding) == kept


DATA = b"123456789"
# the check values of the catalogue of CRCs, and of hashlib
CHECKSUMS = {
    CRC: "y/Q5Jg==",
    "x-amz-checksum-crc32c": "4waSgw==",
    CRC64: "rosUhgp5mIg=",
    "x-amz-checksum-sha1": "98O8HYCOBHMq32eZZczDTKeuNEE=",
    "x-amz-checksum-sha256": "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
    "content-md5": "JfnnlDI7RTiF9RgfG2JNCw==",
}


def checked(headers: dict[str, str], data: bytes, trailers: dict[str, str] | None = None) -> None:
    payload = headers.get("x-amz-content-sha256", UNSIGNED_PAYLOAD)
    for row in parse_expected(headers, payload):
        row.check(digest_of(row.algorithm, data), trailers or {})


@pytest.mark.parametrize("field", CHECKSUMS)
def test_a_checksum_holds_for_its_data_alone(field: str) -> None:
    checked({field: CHECKSUMS[field]}, DATA)
    with pytest.raises(S3Error) as caught:
        checked({field: CHECKSUMS[field]}, DATA + b"x")
    assert caught.value.code == "BadDigest"
    for bad in ("", "x", "====", CHECKSUMS[field][:-4], CHECKSUMS[field] + "AAAA", "é"):
        with pytest.raises(S3Error) as caught:
            checked({field: bad}, DATA)
        assert caught.value.code == ("InvalidDigest" if "md5" in field else "InvalidRequest")


@pytest.mark.parametrize(("field", "wrong"), [(CRC, "AAAAAA=="), (CRC64, "AAAAAAAAAAA=")])
def test_a_checksum_may_come_after_the_data(field: str, wrong: str) -> None:
    checked({"x-amz-trailer": field}, DATA, {field: CHECKSUMS[field]})
    for trailers, code in (({field: wrong}, "BadDigest"), ({field: ""}, "MalformedTrailerError")):
        with pytest.raises(S3Error) as caught:
            checked({"x-amz-trailer": field}, DATA, trailers)
        assert caught.value.code == code


def test_the_hash_of_the_payload_is_of_a_body_that_is_not_chunked() -> None:
    digest = base64.b64decode(CHECKSUMS["x-amz-checksum-sha256"]).hex()
    checked({"x-amz-content-sha256": digest}, DATA)
    checked({"x-amz-content-sha256": STREAMING_SIGNED}, DATA)
    with pytest.raises(S3Error) as caught:
        checked({"x-amz-content-sha256": digest}, b"other")
    assert caught.value.code == "XAmzContentSHA256Mismatch"


def test_one_checksum_may_be_sent_and_only_a_known_one() -> None:
    with pytest.raises(S3Error, match="single"):
        checked({CRC: CHECKSUMS[CRC], "x-amz-trailer": "x-amz-checksum-sha1"}, DATA)
    with pytest.raises(S3Error) as caught:
        checked({"x-amz-checksum-xyz": "AAAA"}, DATA)
    assert caught.value.code == "NotImplemented"
    checked({"x-amz-checksum-type": "FULL_OBJECT", "x-amz-checksum-mode": "ENABLED"}, DATA)
