"""What the S3 driver makes of errors, silence and broken connections, and what it sends."""

from __future__ import annotations

import base64
import os
import select
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
import uvloop

from fileloft_fast.errors import (
    ConditionFailedError,
    RemoteRefusedError,
    RemoteUnavailableError,
    SessionLostError,
    StoreError,
)
from fileloft_fast.stores.remote.objects import ABSENT, Condition, Piece
from fileloft_fast.stores.remote.s3 import S3Objects
from tests.stores.pieces import PLAIN, Source, complete, fresh_key, put_parts, read
from tests.stores.s3_backend import connected
from tests.stores.seaweedfs import KEYS, SeaweedFS
from tests.stores.stub import RESET, Answer, Asked, Rude, Stub

if TYPE_CHECKING:
    import socket
    from pathlib import Path

MIB: Final = 1024**2
OK: Final = Answer(headers={"ETag": '"tag"'})
LONG: Final = 300_000

Scene = Callable[[S3Objects], Awaitable[None]]


def play(url: str, scene: Scene, **options: Any) -> None:
    """Run *scene* with a driver whose store is at *url*."""

    async def played() -> None:
        async with connected(url, **options) as objects:
            await scene(objects)

    uvloop.run(played())


def refusal(status: int, code: str) -> Answer:
    """Return an error as S3 writes them."""
    return Answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())


def say_nothing(connection: socket.socket) -> int:
    """Take everything, and never answer."""
    return sum(map(len, iter(partial(connection.recv, 65536), b"")))


def refuse_at_once(connection: socket.socket) -> int:
    """Answer 403 to the head, read no more until the peer ends, and return what it had sent."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(65536)
    connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    over = select.poll()
    over.register(connection, select.POLLRDHUP)
    over.poll(10_000)
    size = len(head.partition(b"\r\n\r\n")[2])
    while data := connection.recv(65536):
        size += len(data)
    return size


# -- what errors mean ---------------------------------------------------------------------------

UNAVAILABLE: Final = [
    (500, "InternalError"),
    (502, ""),
    (503, "SlowDown"),
    (503, "ServiceUnavailable"),
    (507, "XMinioStorageFull"),
    (429, "TooManyRequests"),
    (400, "RequestTimeout"),
    (400, "IncompleteBody"),
    (400, "BadDigest"),
    (400, "XAmzContentChecksumMismatch"),
    (400, "SlowDownWrite"),
    (400, "ThrottlingException"),
    (408, ""),
    (409, "OperationAborted"),
]
REFUSED: Final = [
    (400, "InvalidRequest"),
    (400, "ExpiredToken"),
    (400, "EntityTooLarge"),
    (401, ""),
    (403, "AccessDenied"),
    (403, "SignatureDoesNotMatch"),
    (403, "InvalidAccessKeyId"),
    (403, "RequestTimeTooSkewed"),
    (404, "NoSuchBucket"),
    (405, "MethodNotAllowed"),
    (501, "NotImplemented"),
]
FAILED: Final = [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict"), (412, "")]


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [(RemoteUnavailableError, *row) for row in UNAVAILABLE]
    + [(RemoteRefusedError, *row) for row in REFUSED]
    + [(ConditionFailedError, *row) for row in FAILED]
    + [(ConditionFailedError, 404, "NoSuchKey")],
)
def test_an_error_has_one_meaning_and_is_asked_for_once(
    kind: type[StoreError], status: int, code: str
) -> None:
    async def scene(objects: S3Objects) -> None:
        with pytest.raises(kind) as raised:
            await objects.put("key", b"x", PLAIN, Condition('"tag"'))
        assert type(raised.value) is kind
        assert str(status) in str(raised.value)
        assert code in str(raised.value)

    with Stub(lambda _: refusal(status, code)) as stub:
        play(stub.url, scene)
    assert len(stub.asked) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "NoSuchUpload"), (400, "InvalidPart"), (400, "InvalidPartOrder"), (404, "NoSuchKey")],
)
def test_a_session_that_is_gone_is_lost_whatever_is_done_with_it(
    status: int, code: str, source: Source
) -> None:
    source.fill(1000)

    async def scene(objects: S3Objects) -> None:
        with pytest.raises(SessionLostError):
            await objects.put_part("key", "session", 1, 0, source.piece(0, 1000))
        with pytest.raises(SessionLostError):
            await objects.list_parts("key", "session")
        with pytest.raises(SessionLostError):
            await complete(objects, "key", "session", [], source)
        await objects.abort("key", "session")

    with Stub(lambda _: refusal(status, code)) as stub:
        play(stub.url, scene)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, RemoteRefusedError), (400, RemoteRefusedError), (503, RemoteUnavailableError)],
)
def test_an_error_without_a_body_is_known_by_its_status(
    status: int, kind: type[StoreError]
) -> None:
    async def scene(objects: S3Objects) -> None:
        with pytest.raises(kind):
            await objects.head("key")

    with Stub(lambda _: Answer(status)) as stub:
        play(stub.url, scene)


def test_an_error_may_come_behind_a_success(source: Source) -> None:
    async def scene(objects: S3Objects) -> None:
        with pytest.raises(RemoteUnavailableError):
            await complete(objects, "key", "session", [], source)

    late = b'<?xml version="1.0"?>\n   <Error><Code>InternalError</Code></Error>'
    with Stub(lambda _: Answer(200, late)) as stub:
        play(stub.url, scene)


def test_an_answer_that_is_no_xml_is_no_answer() -> None:
    async def scene(objects: S3Objects) -> None:
        with pytest.raises(RemoteUnavailableError):
            await objects.create("key", PLAIN)

    with Stub(lambda _: Answer(200, b"<html>Sign in to this network<p></html>")) as stub:
        play(stub.url, scene)


# -- no answer ----------------------------------------------------------------------------------


def test_a_driver_starts_without_its_store() -> None:
    async def scene(objects: S3Objects) -> None:
        with pytest.raises(RemoteUnavailableError):
            await objects.head("key")
        with pytest.raises(RemoteUnavailableError):
            await objects.put("key", b"x", PLAIN, ABSENT)
        with pytest.raises(RemoteUnavailableError):
            await read(objects, "key", 0, 1)

    play("http://127.0.0.1:1", scene)


def test_a_connection_that_breaks_is_an_absence() -> None:
    async def scene(objects: S3Objects) -> None:
        with pytest.raises(RemoteUnavailableError):
            await objects.create("key", PLAIN)
        with pytest.raises(RemoteUnavailableError):
            await objects.put("key", b"x", PLAIN)
        with pytest.raises(RemoteUnavailableError):
            await objects.fetch("key")

    with Stub(lambda _: RESET) as stub:
        play(stub.url, scene)


def test_a_small_object_that_ends_early_is_no_object() -> None:
    async def scene(objects: S3Objects) -> None:
        with pytest.raises(RemoteUnavailableError):
            await objects.fetch("key")

    with Stub(lambda _: Answer(200, b"0123456789", {"ETag": '"tag"'}, cut=5)) as stub:
        play(stub.url, scene)


def test_a_store_that_says_nothing_is_left(source: Source) -> None:
    source.fill(LONG)

    async def scene(objects: S3Objects) -> None:
        with pytest.raises(RemoteUnavailableError):
            await objects.create("key", PLAIN)
        with pytest.raises(RemoteUnavailableError):
            await objects.put_part("key", "session", 1, 0, source.piece(0, LONG))

    with Rude(say_nothing) as silence:
        play(silence.url, scene, answer_s=0.2)


def test_the_rest_of_a_body_is_not_sent_to_a_store_that_refuses_it(source: Source) -> None:
    size = 64 * MIB
    os.truncate(source.descriptor, size)

    async def scene(objects: S3Objects) -> None:
        with pytest.raises(RemoteRefusedError):
            await objects.put("key", Piece(source.descriptor, 0, size, 0), PLAIN)

    with Rude(refuse_at_once) as refusing:
        play(refusing.url, scene, answer_s=5)
    assert refusing.received < size / 2


def test_what_has_a_condition_is_asked_for_once() -> None:
    async def scene(objects: S3Objects) -> None:
        for condition in (ABSENT, Condition('"tag"')):
            with pytest.raises(RemoteUnavailableError):
                await objects.put("key", b"x", PLAIN, condition)
        with pytest.raises(RemoteUnavailableError):
            await objects.create("key", PLAIN)

    with Stub(lambda _: RESET) as stub:
        play(stub.url, scene)
    assert len(stub.asked) == 3


# -- what is sent -------------------------------------------------------------------------------


def test_a_part_is_sent_with_its_length_and_its_checksum_alone(source: Source) -> None:
    content = source.fill(LONG)
    piece = source.piece(1000, LONG - 1000)

    async def scene(objects: S3Objects) -> None:
        receipt = await objects.put_part("key", "a/session", 7, 0, piece)
        assert (receipt.number, receipt.size) == (7, LONG - 1000)
        assert (receipt.tag, receipt.crc32c) == ('"tag"', piece.crc32c)

    with Stub(lambda _: OK) as stub:
        play(stub.url, scene)
    (asked,) = stub.asked
    assert asked.target == "/uploads/key?uploadId=a%2Fsession&partNumber=7"
    assert asked.body == content[1000:]
    assert asked.headers["content-length"] == str(LONG - 1000)
    assert asked.headers.keys().isdisjoint({"transfer-encoding", "expect"})
    assert asked.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert _checksums(asked) == {"x-amz-checksum-crc32c": _base64(piece.crc32c)}


def test_checksums_can_be_switched_off(source: Source) -> None:
    source.fill(1000)

    async def scene(objects: S3Objects) -> None:
        await objects.put_part("key", "session", 1, 0, source.piece(0, 1000))
        await objects.put("key", b"x", PLAIN)

    with Stub(lambda _: OK) as stub:
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

    with Stub(lambda _: OK) as stub:
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
        with Stub(lambda _: OK) as stub:
            play(stub.url, scene)
    finally:
        os.close(write_only)
    assert stub.asked == []


# -- a real store -------------------------------------------------------------------------------


def test_a_wrong_secret_and_a_missing_bucket_are_the_operators_business(
    weed: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def missing(objects: S3Objects) -> None:
        with pytest.raises(RemoteRefusedError, match="NoSuchBucket"):
            await objects.fetch("key")
        with pytest.raises(RemoteRefusedError, match="NoSuchBucket"):
            await anext(aiter(objects.list_keys("")))

    async def forged(objects: S3Objects) -> None:
        with pytest.raises(RemoteRefusedError, match="SignatureDoesNotMatch"):
            await objects.put("key", b"x", PLAIN)
        with pytest.raises(RemoteRefusedError, match="403"):
            await objects.head("key")

    play(weed.url, missing, bucket="nowhere")
    monkeypatch.setitem(KEYS, "AWS_SECRET_ACCESS_KEY", "guessed")
    play(weed.url, forged)


@pytest.mark.slow
def test_a_store_that_is_killed_goes_on_with_what_it_had(tmp_path: Path, source: Source) -> None:
    content = source.fill(2 * 5 * MIB + 1000)
    pieces = source.cut(5 * MIB)
    key = fresh_key()

    async def scene(objects: S3Objects) -> None:
        session = await objects.create(key, PLAIN)
        first = await objects.put_part(key, session, 1, 0, pieces[0])
        weed.kill()
        with pytest.raises(RemoteUnavailableError):
            await objects.put_part(key, session, 2, 5 * MIB, pieces[1])
        weed.restart()
        assert [found.tag for found in await objects.list_parts(key, session)] == [first.tag]
        receipts = await put_parts(objects, key, session, pieces)
        await complete(objects, key, session, [first, *receipts[1:]], source)
        assert await read(objects, key, 0, len(content)) == content

    with SeaweedFS(tmp_path / "weed") as weed:
        play(weed.url, scene)


def _checksums(asked: Asked) -> dict[str, str]:
    return {
        name: value
        for name, value in asked.headers.items()
        if "checksum" in name or "md5" in name or "trailer" in name
    }


def _base64(crc32c: int) -> str:
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode()
