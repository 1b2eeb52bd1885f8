"""What the S3 driver sends, and when: lengths, checksums, names, and nothing of its own."""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.errors import RemoteRefusedError, StoreError
from fileloft_fast.stores.remote.objects import ABSENT, Piece, Receipt
from tests.certificates import Authority
from tests.stores.pieces import PLAIN, Source, complete
from tests.stores.s3_backend import play
from tests.stores.stub import Answer, Asked, Stub, always

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.stores.remote.s3 import S3Objects

MIB: Final = 1024**2
OK: Final = Answer(headers={"ETag": '"tag"'})
LONG: Final = 300_000


def test_a_part_is_sent_with_its_length_and_its_checksum_alone(source: Source) -> None:
    content = source.fill(LONG)
    piece = source.piece(1000, LONG - 1000)

    async def scene(objects: S3Objects) -> None:
        receipt = await objects.put_part("key", "a/session", 7, 0, piece)
        assert (receipt.number, receipt.size) == (7, LONG - 1000)
        assert (receipt.tag, receipt.crc32c) == ('"tag"', piece.crc32c)

    with Stub(always(OK)) as stub:
        play(stub.url, scene)
    (asked,) = stub.asked
    assert asked.target == "/uploads/key?uploadId=a%2Fsession&partNumber=7"
    assert asked.body == content[1000:]
    assert asked.headers["content-length"] == str(LONG - 1000)
    assert asked.headers.keys().isdisjoint({"transfer-encoding", "expect"})
    assert asked.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert _checksums(asked) == {"x-amz-checksum-crc32c": _base64(piece.crc32c)}


def test_a_completion_names_every_part_and_the_size_of_the_whole(source: Source) -> None:
    source.fill(100)
    receipts = [Receipt(1, 60, '"one"', 1), Receipt(2, 40, '"two"', 2)]

    async def scene(objects: S3Objects) -> None:
        made = await complete(objects, "key", "session", receipts, source)
        assert (made.size, made.tag) == (100, '"whole"')

    with Stub(lambda _: Answer(body=b"<R><ETag>&quot;whole&quot;</ETag></R>")) as stub:
        play(stub.url, scene)
    (asked,) = stub.asked
    assert asked.target == "/uploads/key?uploadId=session"
    assert asked.headers["x-amz-mp-object-size"] == "100"
    assert asked.headers["if-none-match"] == "*"
    named = re.findall(r"<(PartNumber|ETag|ChecksumCRC32C)>([^<]*)<", asked.body.decode())
    assert sorted(named[:3]) == [
        ("ChecksumCRC32C", _base64(1)),
        ("ETag", '"one"'),
        ("PartNumber", "1"),
    ]
    assert ("ETag", '"two"') in named[3:]


def test_checksums_can_be_switched_off(source: Source) -> None:
    source.fill(1000)

    async def scene(objects: S3Objects) -> None:
        await objects.put_part("key", "session", 1, 0, source.piece(0, 1000))
        await objects.put("key", b"x", PLAIN)

    with Stub(always(OK)) as stub:
        play(stub.url, scene, checksum=False)
    assert [_checksums(asked) for asked in stub.asked] == [{}, {}]


def test_bytes_leave_when_their_turn_has_come_but_records_do_not_wait(source: Source) -> None:
    taken: list[int] = []

    class Turn:
        async def take(self, size: int) -> None:
            taken.append(size)

    source.fill(LONG)

    async def scene(objects: S3Objects) -> None:
        await objects.put("record", b"x" * 1000, PLAIN)
        assert taken == []
        await objects.put_part("key", "session", 1, 0, source.piece(0, LONG))

    with Stub(always(OK)) as stub:
        play(stub.url, scene, pace=Turn())
    assert sum(taken) == LONG
    assert max(taken) <= MIB


def test_a_spool_that_cannot_be_read_is_not_the_stores_fault(
    source: Source, tmp_path: Path
) -> None:
    source.fill(LONG)
    write_only = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)

    async def scene(objects: S3Objects) -> None:
        for piece in (Piece(source.descriptor, 1, LONG, 0), Piece(write_only, 0, LONG, 0)):
            with pytest.raises(StoreError, match="the spool") as raised:
                await objects.put_part("key", "session", 1, 0, piece)
            assert type(raised.value) is StoreError

    try:
        with Stub(always(OK)) as stub:
            play(stub.url, scene)
    finally:
        os.close(write_only)
    assert stub.asked == []


def test_a_bucket_of_another_region_is_found_there(source: Source) -> None:
    content = source.fill(LONG)

    def script(asked: Asked) -> Answer:
        there = {"x-amz-bucket-region": "eu-west-1"}
        if "/eu-west-1/s3/" in asked.headers["authorization"]:
            return Answer(headers={"ETag": '"tag"'} | there)
        return Answer(301, b"<Error><Code>PermanentRedirect</Code></Error>", there)

    async def scene(objects: S3Objects) -> None:
        await objects.put("first", source.piece(0, LONG), PLAIN, ABSENT)
        await objects.put("second", b"x", PLAIN)

    with Stub(script) as stub:
        play(stub.url, scene)
    assert [asked.body for asked in stub.asked] == [content, content, b"x"]


def test_a_certificate_that_nobody_trusts_is_the_operators_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    tls = Authority(tmp_path).issue().server()

    async def scene(objects: S3Objects) -> None:
        with pytest.raises(RemoteRefusedError, match="CERTIFICATE_VERIFY_FAILED"):
            await objects.put("key", b"x", PLAIN)

    with Stub(always(OK), tls) as stub:
        play(stub.url, scene)
    assert stub.asked == []


def test_bytes_arrive_whole_over_tls(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = source.fill(3 * MIB + 1)
    authority = Authority(tmp_path)
    tls = authority.issue().server()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.certificate))

    async def scene(objects: S3Objects) -> None:
        await objects.put_part("key", "session", 1, 0, source.piece(0, 3 * MIB + 1))

    with Stub(always(OK), tls) as stub:
        play(stub.url, scene)
    assert [asked.body for asked in stub.asked] == [content]


def _checksums(asked: Asked) -> dict[str, str]:
    return {
        name: value
        for name, value in asked.headers.items()
        if "checksum" in name or "md5" in name or "trailer" in name
    }


def _base64(crc32c: int) -> str:
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode()
