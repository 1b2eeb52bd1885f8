"""What the S3 driver makes of errors, silence and broken connections, and what it sends."""

from __future__ import annotations

import os
import select
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.errors import (
    ConditionFailedError,
    RemoteRefusedError,
    RemoteUnavailableError,
    SessionLostError,
    StoreError,
)
from fileloft_fast.stores.remote.objects import ABSENT, Condition, Piece
from tests.stores.pieces import PLAIN, Source, complete, fresh_key, put_parts, read
from tests.stores.s3_backend import play
from tests.stores.seaweedfs import KEYS, SeaweedFS
from tests.stores.stub import RESET, Answer, Rude, Stub, always

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from fileloft_fast.stores.remote.s3 import S3Objects

MIB: Final = 1024**2
OK: Final = Answer(headers={"ETag": '"tag"'})
LONG: Final = 300_000


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

MEANINGS: Final[Mapping[type[StoreError], list[tuple[int, str]]]] = {
    RemoteUnavailableError: [
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
    ],
    RemoteRefusedError: [
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
    ],
    ConditionFailedError: [
        (412, "PreconditionFailed"),
        (412, ""),
        (409, "ConditionalRequestConflict"),
        (404, "NoSuchKey"),  # AWS, of an If-Match
    ],
}


def test_an_error_has_one_meaning_and_is_asked_for_once() -> None:
    async def scene(objects: S3Objects) -> None:
        for kind, answers in MEANINGS.items():
            for status, code in answers:
                stub.script = always(refusal(status, code))
                with pytest.raises(kind, match=f"{status} {code}") as raised:
                    await objects.put("key", b"x", PLAIN, Condition('"tag"'))
                assert type(raised.value) is kind

    with Stub(lambda _: Answer(500)) as stub:
        play(stub.url, scene)
    assert len(stub.asked) == sum(map(len, MEANINGS.values()))


def test_a_session_that_is_gone_is_lost_whatever_is_done_with_it(source: Source) -> None:
    source.fill(1000)
    gone = [
        (404, "NoSuchUpload"),
        (400, "InvalidPart"),
        (400, "InvalidPartOrder"),
        (404, "NoSuchKey"),
    ]

    async def scene(objects: S3Objects) -> None:
        for status, code in gone:
            stub.script = always(refusal(status, code))
            with pytest.raises(SessionLostError):
                await objects.put_part("key", "session", 1, 0, source.piece(0, 1000))
            with pytest.raises(SessionLostError):
                await objects.list_parts("key", "session")
            with pytest.raises(SessionLostError):
                await complete(objects, "key", "session", [], source)
            await objects.abort("key", "session")

    with Stub(lambda _: Answer(500)) as stub:
        play(stub.url, scene)


@pytest.mark.parametrize(
    "page", [b"", b"<html><h1>404 Not Found</h1></html>", b"<html><br></html>"]
)
def test_what_somebody_on_the_way_does_not_find_may_be_there(source: Source, page: bytes) -> None:
    source.fill(1000)

    async def scene(objects: S3Objects) -> None:
        asks: list[Awaitable[object]] = [
            objects.put_part("key", "session", 1, 0, source.piece(0, 1000)),
            objects.list_parts("key", "session"),
            complete(objects, "key", "session", [], source),
            objects.abort("key", "session"),
            objects.head("key"),
            objects.fetch("key"),
            objects.delete("key"),
            read(objects, "key", 0, 0),
            read(objects, "key", 0, 9),
        ]
        for ask in asks:
            with pytest.raises(RemoteUnavailableError):
                await ask

    with Stub(always(Answer(404, page))) as stub:
        play(stub.url, scene)


def test_an_object_is_missing_where_the_store_says_so_in_words() -> None:
    async def scene(objects: S3Objects) -> None:
        stub.script = always(refusal(404, "NoSuchKey"))
        assert await objects.head("key") is None
        assert [asked.method for asked in stub.asked] == ["HEAD", "GET"]
        stub.script = always(refusal(404, "NoSuchBucket"))
        with pytest.raises(RemoteRefusedError):
            await objects.head("key")
        stub.script = lambda asked: Answer(404) if asked.method == "HEAD" else Answer(body=b"x")
        with pytest.raises(RemoteUnavailableError):
            await objects.head("key")

    with Stub(always(OK)) as stub:
        play(stub.url, scene)


def test_an_error_without_a_body_is_known_by_its_status() -> None:
    kinds = {
        403: RemoteRefusedError,
        400: RemoteRefusedError,
        429: RemoteUnavailableError,
        503: RemoteUnavailableError,
    }

    async def scene(objects: S3Objects) -> None:
        for status, kind in kinds.items():
            stub.script = always(Answer(status))
            with pytest.raises(kind):
                await objects.head("key")

    with Stub(lambda _: Answer(500)) as stub:
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


def test_a_condition_that_failed_after_a_lost_answer_tells_nothing() -> None:
    failed = refusal(412, "PreconditionFailed")
    answers = iter([RESET, failed, failed])

    async def scene(objects: S3Objects) -> None:
        with pytest.raises(RemoteUnavailableError):  # the first may have been stored
            await objects.put("key", b"x", PLAIN, ABSENT)
        with pytest.raises(ConditionFailedError):
            await objects.put("key", b"x", PLAIN, ABSENT)

    with Stub(lambda _: next(answers)) as stub:
        play(stub.url, scene)
    assert len(stub.asked) == 3


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
