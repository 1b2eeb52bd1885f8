"""Resumable sessions of Google: what the driver does where its answers are short, late or lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from fileloft_fast.errors import (
    ConditionFailedError,
    RemoteRefusedError,
    RemoteUnavailableError,
    SessionLostError,
)
from tests.stores.gcs_fake import GcsFake
from tests.stores.gcs_visit import GRANULE, PART, begun, connected, finish, play
from tests.stores.pieces import PLAIN, Source, crc32c_of, read

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.objects import Objects


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsFake]:
    with GcsFake(tmp_path_factory.mktemp("gcs")) as fake:
        yield fake


@pytest.fixture
def fake(running: GcsFake) -> GcsFake:
    running.heal()
    return running


# -- chunks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_after_a_short_answer_the_rest_is_sent(fake: GcsFake, source: Source, taken: int) -> None:
    content = source.fill(PART + 10)
    fake.fail("part", "prefix", size=taken * GRANULE)

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        receipt = await objects.put_part(key, session, 1, 0, part)
        assert (receipt.number, receipt.size, receipt.crc32c) == (1, PART, part.crc32c)
        await finish(objects, key, session, source)
        assert await read(objects, key, 0, len(content)) == content

    play(fake.url, scene)
    assert fake.asked == ["create", "part", "part", "last", "get"]


def test_a_store_that_takes_nothing_is_not_asked_for_ever(fake: GcsFake, source: Source) -> None:
    source.fill(PART + 10)
    fake.fail("part", "prefix", size=0)

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        with pytest.raises(RemoteUnavailableError):
            await objects.put_part(key, session, 1, 0, part)
        await objects.put_part(key, session, 1, 0, part)

    play(fake.url, scene)
    assert fake.asked == ["create", "part", "status", "part"]


@pytest.mark.parametrize("arrived", [0, 100_000, GRANULE, 3 * GRANULE + 1])
def test_after_a_cut_chunk_the_store_says_where_to_go_on(
    fake: GcsFake, source: Source, arrived: int
) -> None:
    content = source.fill(PART + 10)
    fake.fail("part", "cut", size=arrived)

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        with pytest.raises(RemoteUnavailableError):
            await objects.put_part(key, session, 1, 0, part)
        persisted = await objects.list_parts(key, session)
        assert [receipt.size for receipt in persisted] == [arrived // GRANULE * GRANULE]
        assert (await objects.put_part(key, session, 1, 0, part)).size == PART
        await finish(objects, key, session, source)
        assert await read(objects, key, 0, len(content)) == content

    play(fake.url, scene)
    asked = fake.asked
    assert asked[:3] == ["create", "part", "status"], "a cut chunk is never sent again unasked"
    assert asked[-4:] == ["status", "part", "last", "get"]


def test_of_a_chunk_whose_answer_was_lost_nothing_is_sent_again(
    fake: GcsFake, source: Source
) -> None:
    content = source.fill(2 * PART)
    fake.fail("part", "lose")

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        with pytest.raises(RemoteUnavailableError):
            await objects.put_part(key, session, 1, 0, part)
        await objects.put_part(key, session, 1, 0, part)
        await objects.put_part(key, session, 2, PART, source.piece(PART, PART))
        await finish(objects, key, session, source)
        assert await read(objects, key, 0, len(content)) == content

    play(fake.url, scene)
    assert fake.asked == ["create", "part", "status", "part", "finish", "get"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_store_is_unavailable_and_asked_for_its_state_next(
    fake: GcsFake, source: Source, status: int
) -> None:
    source.fill(PART + 10)
    fake.fail("part", status=status)

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        with pytest.raises(RemoteUnavailableError, match=str(status)):
            await objects.put_part(key, session, 1, 0, part)
        await objects.put_part(key, session, 1, 0, part)

    play(fake.url, scene)
    assert fake.asked == ["create", "part", "status", "part"]


def test_a_part_that_the_session_holds_already_is_done(fake: GcsFake, source: Source) -> None:
    content = source.fill(3 * PART)

    async def scene(objects: Objects) -> None:
        key, session, _ = await begun(objects, source)
        await objects.put_part(key, session, 1, 0, source.piece(0, 2 * PART))
        fake.heal()
        assert (await objects.put_part(key, session, 1, 0, source.piece(0, PART))).size == PART
        assert fake.asked == ["status"]
        # The half that is there is left out.
        await objects.put_part(key, session, 2, PART, source.piece(PART, 2 * PART))
        assert fake.asked == ["status", "status", "part"]
        await finish(objects, key, session, source)
        assert await read(objects, key, 0, len(content)) == content

    play(fake.url, scene)


def test_a_session_that_holds_less_than_it_was_given_is_lost(fake: GcsFake, source: Source) -> None:
    source.fill(3 * PART)

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        await objects.put_part(key, session, 1, 0, part)
        second = source.piece(2 * PART, PART)
        with pytest.raises(SessionLostError, match=f"{PART} bytes of the {2 * PART}"):
            await objects.put_part(key, session, 3, 2 * PART, second)
        with pytest.raises(SessionLostError, match=f"{PART} bytes of the {3 * PART}"):
            await finish(objects, key, session, source)

    play(fake.url, scene)


def test_two_drivers_may_take_turns_in_a_session(fake: GcsFake, source: Source) -> None:
    content = source.fill(4 * PART + 1)

    async def scene(objects: Objects) -> None:
        key, session, _ = await begun(objects, source)
        async with connected(fake.url) as other:
            for number, driver in enumerate((objects, other, objects, other)):
                piece = source.piece(number * PART, PART)
                await driver.put_part(key, session, number + 1, piece.start, piece)
        await finish(objects, key, session, source)
        assert await read(objects, key, 0, len(content)) == content

    play(fake.url, scene)


# -- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [PART, PART + 1, 2 * PART, 2 * PART - 1, 100, 0])
def test_a_session_ends_with_its_last_bytes_or_with_none(
    fake: GcsFake, source: Source, size: int
) -> None:
    content = source.fill(size)

    async def scene(objects: Objects) -> None:
        key, session, _ = await begun(objects, source)
        for number in range(size // PART):
            piece = source.piece(number * PART, PART)
            await objects.put_part(key, session, number + 1, piece.start, piece)
        head = await finish(objects, key, session, source)
        assert (head.size, head.crc32c) == (size, crc32c_of(content))
        assert head == await objects.head(key)
        assert await read(objects, key, 0, size) == content

    play(fake.url, scene)


def test_a_status_query_ends_no_session(fake: GcsFake, source: Source) -> None:
    source.fill(PART)

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        await objects.put_part(key, session, 1, 0, part)
        assert [one.size for one in await objects.list_parts(key, session)] == [PART]
        assert await objects.head(key) is None

    play(fake.url, scene)


@pytest.mark.parametrize("left", [0, 5])
def test_where_the_last_answer_was_lost_the_next_one_tells_the_object(
    fake: GcsFake, source: Source, left: int
) -> None:
    content = source.fill(PART + left)
    fake.fail("last" if left else "finish", "lose", times=2)

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        await objects.put_part(key, session, 1, 0, part)
        with pytest.raises(RemoteUnavailableError):
            await finish(objects, key, session, source)
        fake.heal()
        head = await finish(objects, key, session, source)
        assert head == await objects.head(key)
        assert [one.size for one in await objects.list_parts(key, session)] == [PART + left]
        assert await read(objects, key, 0, len(content)) == content

    play(fake.url, scene)
    assert fake.asked == ["finish", "head", "status", "get"], "nothing is sent again"


@pytest.mark.parametrize(("kind", "size"), [("prefix", GRANULE), ("cut", 2 * GRANULE + 5)])
def test_last_bytes_that_came_in_part_are_completed(
    fake: GcsFake, source: Source, kind: str, size: int
) -> None:
    content = source.fill(2 * PART - 1)
    fake.fail("last", kind, size=size)

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        await objects.put_part(key, session, 1, 0, part)
        if kind == "cut":
            with pytest.raises(RemoteUnavailableError):
                await finish(objects, key, session, source)
        await finish(objects, key, session, source)
        assert await read(objects, key, 0, len(content)) == content

    play(fake.url, scene)
    asked = [operation for operation in fake.asked if operation == "last"]
    assert len(asked) == 2


def test_damaged_bytes_make_no_object(fake: GcsFake, source: Source) -> None:
    content = source.fill(PART + 10)

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        await objects.put_part(key, session, 1, 0, part)
        last = source.piece(PART, 10)
        with pytest.raises(RemoteRefusedError, match="CRC32C"):
            await objects.complete(
                key, session, [], size=len(content), crc32c=1, attributes=PLAIN, last=last
            )
        assert await objects.head(key) is None
        with pytest.raises(SessionLostError):
            await finish(objects, key, session, source)
        with pytest.raises(RemoteRefusedError, match="CRC32C"):
            await objects.put(key, replace(part, crc32c=1), PLAIN)
        assert await objects.head(key) is None

    play(fake.url, scene)


def test_the_condition_is_looked_at_when_the_session_ends(fake: GcsFake, source: Source) -> None:
    source.fill(PART + 10)

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        await objects.put_part(key, session, 1, 0, part)
        first = await objects.put(key, b"first", PLAIN)
        with pytest.raises(ConditionFailedError):
            await finish(objects, key, session, source)
        assert await objects.fetch(key) == (b"first", first.tag)

    play(fake.url, scene)
