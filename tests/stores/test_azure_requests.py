"""What becomes of requests to Azure: what its errors mean, and bodies that are streamed."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import pytest
import uvloop

from fileloft_fast.errors import (
    ConditionFailedError,
    ObjectNotFoundError,
    RemoteRefusedError,
    RemoteUnavailableError,
    SessionLostError,
    StoreError,
)
from fileloft_fast.stores.remote.objects import ABSENT, Attributes, Objects, Piece
from tests.stores.azure_backend import connected, play, play_at
from tests.stores.azure_stub import failure
from tests.stores.azurite import Azurite
from tests.stores.faulty import Faulty, How, is_part
from tests.stores.pieces import Source, complete, fresh_key, put_parts, read
from tests.stores.stub import Answer, Asked, Stub

PLAIN: Final = Attributes()
MIB: Final = 1024**2


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with Azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


# -- errors ---------------------------------------------------------------------------------------

FAILURES: Final = [
    (500, "InternalError", RemoteUnavailableError),
    (500, "OperationTimedOut", RemoteUnavailableError),
    (503, "ServerBusy", RemoteUnavailableError),
    (429, "TooManyRequests", RemoteUnavailableError),
    (408, "", RemoteUnavailableError),
    (502, "", RemoteUnavailableError),
    (501, "APINotImplemented", RemoteRefusedError),
    (400, "InvalidHeaderValue", RemoteRefusedError),
    (401, "NoAuthenticationInformation", RemoteRefusedError),
    (403, "AuthenticationFailed", RemoteRefusedError),
    (403, "AuthorizationPermissionMismatch", RemoteRefusedError),
    (404, "ContainerNotFound", RemoteRefusedError),
    (404, "", RemoteRefusedError),
    (409, "ContainerBeingDeleted", RemoteRefusedError),
    (412, "LeaseIdMissing", RemoteRefusedError),
    (409, "BlobAlreadyExists", ConditionFailedError),
    (412, "ConditionNotMet", ConditionFailedError),
    (400, "InvalidBlockList", SessionLostError),
]


@pytest.mark.parametrize(("status", "code", "kind"), FAILURES)
def test_an_answer_is_told_by_its_code_and_asked_for_once(
    status: int, code: str, kind: type[StoreError], source: Source
) -> None:
    source.fill(1000)
    piece = source.piece(0, 1000)

    async def scene(objects: Objects) -> None:
        async def listed() -> list[str]:
            return [key async for key in objects.list_keys("")]

        calls: list[Awaitable[object]] = [
            objects.head("key"),
            objects.fetch("key"),
            objects.put("key", piece, PLAIN),
            objects.put_part("key", "0" * 16, 1, 0, piece),
            objects.list_parts("key", "0" * 16),
            objects.delete("key"),
            listed(),
        ]
        for number, call in enumerate(calls, 1):
            with pytest.raises(kind) as raised:
                await call
            assert f"{status} {code}".strip() in str(raised.value)
            assert len(stub.asked) == number

    with Stub(lambda _: failure(status, code)) as stub:
        play_at(f"{stub.url}/account", "uploads", scene)


def test_no_blob_is_none_or_nothing_to_do() -> None:
    async def scene(objects: Objects) -> None:
        assert await objects.head("key") is None
        assert await objects.fetch("key") is None
        assert await objects.list_parts("key", "0" * 16) == []
        await objects.delete("key")
        with pytest.raises(ObjectNotFoundError):
            await read(objects, "key", 0, 5)

    with Stub(lambda _: failure(404, "BlobNotFound")) as stub:
        play_at(f"{stub.url}/account", "uploads", scene)


def test_a_store_that_cannot_be_reached_is_unavailable(source: Source) -> None:
    source.fill(1000)

    async def scene(objects: Objects) -> None:
        for call in (
            objects.head("key"),
            objects.fetch("key"),
            objects.put("key", b"x", PLAIN),
            objects.put_part("key", "0" * 16, 1, 0, source.piece(0, 1000)),
            read(objects, "key", 0, 5),
        ):
            with pytest.raises(RemoteUnavailableError):
                await call

    play_at("http://127.0.0.1:1/account", "uploads", scene)


@pytest.mark.parametrize("how", [How.BUSY, How.CUT, How.LOST])
def test_a_part_that_went_wrong_can_be_sent_again(
    how: How, azurite: Azurite, source: Source
) -> None:
    content = source.fill(6 * MIB)
    failing = [how, how]  # aiohttp by itself tries once more where a connection ends

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        session = await objects.create(key, PLAIN)
        pieces = source.cut(3 * MIB)
        while failing:
            with pytest.raises(RemoteUnavailableError):
                await objects.put_part(key, session, 1, 0, pieces[0])
        receipts = await put_parts(objects, key, session, pieces)
        await complete(objects, key, session, receipts, source)
        assert await read(objects, key, 0, 6 * MIB) == content

    def script(asked: object) -> How | None:
        return failing.pop() if failing and is_part(asked) else None  # type: ignore[arg-type]

    with Faulty(azurite.url, script) as faulty:
        play_at(faulty.url, azurite.container, scene)


def test_a_spool_that_is_shorter_than_the_piece_is_not_the_networks_fault(
    azurite: Azurite, source: Source
) -> None:
    source.fill(1000)
    piece = Piece(source.descriptor, 0, 1001, 0)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        for call in (
            objects.put(key, piece, PLAIN, ABSENT),
            objects.put_part(key, await objects.create(key, PLAIN), 1, 0, piece),
        ):
            with pytest.raises(StoreError, match="spool") as raised:
                await call
            assert not isinstance(raised.value, RemoteUnavailableError)
        assert await objects.head(key) is None

    play(azurite, scene)


def test_the_sdk_says_nothing_of_every_request(
    azurite: Azurite, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(objects: Objects) -> None:
        with caplog.at_level(logging.INFO):
            await objects.put("key", b"x", PLAIN)
            assert await objects.head("missing") is None
        assert caplog.records == []

    play(azurite, scene)


# -- streams --------------------------------------------------------------------------------------


class Toll:
    """A pace that counts."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    async def take(self, size: int) -> None:
        self.taken.append(size)


def test_every_byte_of_a_body_goes_through_the_pace(azurite: Azurite, source: Source) -> None:
    source.fill(2 * MIB)
    pace = Toll()

    async def scene() -> None:
        async with connected(azurite.connection_string, azurite.container, pace=pace) as objects:
            key = fresh_key()
            await objects.put(key, source.piece(0, MIB), PLAIN)
            session = await objects.create(key, PLAIN)
            await objects.put_part(key, session, 1, 0, source.piece(MIB, MIB))

    uvloop.run(scene())
    assert sum(pace.taken) == 2 * MIB
    assert max(pace.taken) < MIB  # and no part in one go


def pieces_of(content: bytes, sent: int) -> Callable[[Asked], Answer]:
    """Answer ranges of *content* as Azure does, but break after *sent* bytes of each answer."""

    def answer(asked: Asked) -> Answer:
        start, end = map(int, asked.headers["range"].removeprefix("bytes=").split("-"))
        headers = {"ETag": '"1"', "Content-Range": f"bytes {start}-{end}/{len(content)}"}
        return Answer(206, content[start : end + 1], headers, sent)

    return answer


def test_a_read_is_taken_up_where_the_connection_broke() -> None:
    content = os.urandom(1000)

    async def scene(objects: Objects) -> None:
        assert await read(objects, "key", 100, 800) == content[100:900]

    with Stub(pieces_of(content, 300)) as stub:
        play_at(f"{stub.url}/account", "uploads", scene)
    ranges = [asked.headers["range"] for asked in stub.asked]
    assert ranges == ["bytes=100-899", "bytes=400-899", "bytes=700-899"]
    assert [asked.headers.get("if-match") for asked in stub.asked] == [None, '"1"', '"1"']


def test_a_read_never_mixes_two_versions() -> None:
    content = os.urandom(1000)

    def answer(asked: Asked) -> Answer:
        if "if-match" in asked.headers:
            return failure(412, "ConditionNotMet")
        return pieces_of(content, 300)(asked)

    async def scene(objects: Objects) -> None:
        with pytest.raises(ObjectNotFoundError, match="replaced"):
            await read(objects, "key", 0, 1000)

    with Stub(answer) as stub:
        play_at(f"{stub.url}/account", "uploads", scene)


def test_a_read_that_gets_nowhere_is_given_up() -> None:
    async def scene(objects: Objects) -> None:
        with pytest.raises(RemoteUnavailableError):
            await read(objects, "key", 0, 1000)

    with Stub(pieces_of(bytes(1000), 0)) as stub:
        play_at(f"{stub.url}/account", "uploads", scene)
    assert len(stub.asked) == 5


def test_a_read_of_more_than_there_is_is_refused(azurite: Azurite) -> None:
    async def scene(objects: Objects) -> None:
        key = fresh_key()
        await objects.put(key, b"12345", PLAIN)
        for start, length in ((0, 6), (4, 100), (5, 1)):
            with pytest.raises(RemoteRefusedError):
                await read(objects, key, start, length)

    play(azurite, scene)
