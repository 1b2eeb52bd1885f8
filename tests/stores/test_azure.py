"""What is Azure's own: names, blocks, and copies within the store."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import (
    CannotJoinError,
    ConditionFailedError,
    ObjectNotFoundError,
    RemoteUnavailableError,
    SessionLostError,
    StoreError,
)
from fileloft_fast.stores.remote.azure.headers import metadata_name, plain_name
from fileloft_fast.stores.remote.azure.joining import plan_copies
from fileloft_fast.stores.remote.objects import Attributes, ObjectHead, Objects
from tests.stores.azure_backend import play, play_at
from tests.stores.azure_stub import failure, query_of
from tests.stores.azurite import Azurite
from tests.stores.pieces import Source, complete, fresh_key, put_parts, read
from tests.stores.stub import Answer, Stub

if TYPE_CHECKING:
    from pathlib import Path


PLAIN: Final = Attributes()
MIB: Final = 1024**2


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with Azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


# -- names ----------------------------------------------------------------------------------------


@given(st.text(string.ascii_lowercase + string.digits + "-", min_size=1))
def test_a_name_of_metadata_is_spelt_as_an_identifier_and_found_again(name: str) -> None:
    assert metadata_name(name).isidentifier()
    assert plain_name(metadata_name(name)) == name
    assert plain_name(metadata_name(name).upper()) == name  # Azure does not keep case apart


def test_odd_names_of_metadata_come_back(azurite: Azurite) -> None:
    metadata = {"-": "a", "2nd-name": "b", "--x": "c", "a-": "d"}

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        await objects.put(key, b"", Attributes(metadata=metadata))
        head = await objects.head(key)
        assert head is not None
        assert head.metadata == metadata

    play(azurite, scene)


def test_any_character_of_a_prefix_is_just_that(azurite: Azurite) -> None:
    async def scene(objects: Objects) -> None:
        key = fresh_key("a b/ü+%2F?c=d&e#f/")
        await objects.put(key, b"whole", PLAIN)
        assert await objects.fetch(key) is not None
        assert await objects.head(key) is not None
        assert [name async for name in objects.list_keys(key[:-5])] == [key]
        await objects.delete(key)
        assert await objects.head(key) is None

    play(azurite, scene)


# -- blocks ---------------------------------------------------------------------------------------


def test_sessions_of_one_key_do_not_see_each_other(azurite: Azurite, source: Source) -> None:
    content = source.fill(30_000)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        mine, others = [await objects.create(key, PLAIN) for _ in range(2)]
        receipts = await put_parts(objects, key, mine, source.cut(10_000))
        for number in (1, 2, 3):
            await objects.put_part(key, others, number, 0, source.piece(5, 7))
        assert await objects.list_parts(key, mine) == receipts
        assert [receipt.size for receipt in await objects.list_parts(key, others)] == [7, 7, 7]
        await complete(objects, key, mine, receipts, source)
        assert await read(objects, key, 0, 30_000) == content
        # What the other one had put is gone with it.
        assert await objects.list_parts(key, others) == []

    play(azurite, scene)


def test_a_list_of_parts_tells_their_checksums(azurite: Azurite, source: Source) -> None:
    source.fill(30_000)
    pieces = source.cut(10_000)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        session = await objects.create(key, PLAIN)
        await put_parts(objects, key, session, pieces)
        listed = await objects.list_parts(key, session)
        assert [receipt.crc32c for receipt in listed] == [piece.crc32c for piece in pieces]

    play(azurite, scene)


def test_blocks_that_are_gone_are_a_session_that_is_lost(azurite: Azurite, source: Source) -> None:
    source.fill(30_000)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        session = await objects.create(key, PLAIN)
        receipts = await put_parts(objects, key, session, source.cut(10_000))
        other = fresh_key()  # Azurite throws no block away, but under another key there are none
        assert await objects.list_parts(other, session) == []
        with pytest.raises(SessionLostError):
            await complete(objects, other, session, receipts, source)
        assert await objects.head(other) is None

    play(azurite, scene)


def test_a_completion_that_is_repeated_says_that_the_object_is_there(
    azurite: Azurite, source: Source
) -> None:
    source.fill(30_000)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        session = await objects.create(key, PLAIN)
        receipts = await put_parts(objects, key, session, source.cut(10_000))
        made = await complete(objects, key, session, receipts, source)
        with pytest.raises(ConditionFailedError):
            await complete(objects, key, session, receipts, source)
        again = await complete(objects, key, session, receipts, source, condition=None)
        assert again.size == made.size

    play(azurite, scene)


def test_blocks_outlive_a_restart_of_the_store(tmp_path: Path, source: Source) -> None:
    content = source.fill(30_000)
    key = fresh_key()
    begun: list[str] = []

    async def begin(objects: Objects) -> None:
        begun.append(await objects.create(key, PLAIN))
        await put_parts(objects, key, begun[0], source.cut(10_000))

    async def end(objects: Objects) -> None:
        receipts = await objects.list_parts(key, begun[0])
        await complete(objects, key, begun[0], receipts, source)
        assert await read(objects, key, 0, 30_000) == content

    with Azurite(tmp_path) as own:
        play(own, begin)
        own.kill()
        with pytest.raises(RemoteUnavailableError):
            play(own, end)
        own.restart()
        play(own, end)


# -- joins ----------------------------------------------------------------------------------------


def head_of(key: str, size: int) -> ObjectHead:
    return ObjectHead(key=key, size=size, tag=f'"of-{key}"')


def test_copies_are_small_enough_to_be_answered_in_time() -> None:
    copies = plan_copies([head_of("a", 600 * MIB), head_of("b", 0), head_of("c", 1)])
    assert [(copy.source.key, copy.start, copy.length) for copy in copies] == [
        ("a", 0, 256 * MIB),
        ("a", 256 * MIB, 256 * MIB),
        ("a", 512 * MIB, 88 * MIB),
        ("c", 0, 1),
    ]


def test_more_blocks_than_a_blob_has_cannot_be_joined() -> None:
    with pytest.raises(CannotJoinError):
        plan_copies([head_of("a", 50_000 * 256 * MIB), head_of("b", 1)])


def test_a_join_copies_ranges_of_the_versions_that_are_named() -> None:
    async def scene(objects: Objects) -> None:
        made = await objects.join("all", [head_of("a", 300 * MIB), head_of("b", 5)], PLAIN)
        assert (made.key, made.size, made.tag) == ("all", 300 * MIB + 5, '"1"')

    with Stub(lambda _: Answer(201, b"", {"ETag": '"1"'})) as stub:
        play_at(f"{stub.url}/account", "uploads", scene)
    *copies, commit = stub.asked
    copies.sort(key=lambda asked: query_of(asked)["blockid"])
    sources = [copy.headers["x-ms-copy-source"] for copy in copies]
    names = [source.partition("?")[0] for source in sources]
    blobs = f"{stub.url}/account/uploads"
    assert names == [f"{blobs}/a", f"{blobs}/a", f"{blobs}/b"]
    assert all("sp=r&" in source and "sig=" in source for source in sources)
    assert [copy.headers["x-ms-source-range"] for copy in copies] == [
        f"bytes=0-{256 * MIB - 1}",
        f"bytes={256 * MIB}-{300 * MIB - 1}",
        "bytes=0-4",
    ]
    tags = [copy.headers["x-ms-source-if-match"] for copy in copies]
    assert tags == ['"of-a"', '"of-a"', '"of-b"']
    assert (query_of(commit)["comp"], commit.headers["if-none-match"]) == ("blocklist", "*")
    for copy in copies:
        assert query_of(copy)["blockid"].encode() in commit.body


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (501, "APINotImplemented", CannotJoinError),
        (403, "CannotVerifyCopySource", CannotJoinError),
        (412, "SourceConditionNotMet", ObjectNotFoundError),
        (503, "ServerBusy", RemoteUnavailableError),
    ],
)
def test_a_join_that_fails_commits_nothing(status: int, code: str, kind: type[StoreError]) -> None:
    async def scene(objects: Objects) -> None:
        with pytest.raises(kind):
            await objects.join("all", [head_of("a", 1), head_of("b", 1)], PLAIN)

    with Stub(lambda _: failure(status, code)) as stub:
        play_at(f"{stub.url}/account", "uploads", scene)
    assert not [asked for asked in stub.asked if query_of(asked)["comp"] == "blocklist"]
