"""The contract of ``Objects``, the same for every driver; each runs against its own store."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.errors import (
    ConditionFailedError,
    ObjectNotFoundError,
)
from fileloft_fast.stores.remote.objects import (
    ABSENT,
    MOST_FETCHED,
    Condition,
    Objects,
)
from tests.stores.pieces import (
    PLAIN,
    RICH,
    Source,
    fresh_key,
    read,
    upload,
)

if TYPE_CHECKING:
    from tests.stores.backend import Backend

# -- whole objects ------------------------------------------------------------------------------


def test_what_was_put_is_fetched_under_the_tag_that_put_returned(backend: Backend) -> None:
    async def scene(objects: Objects) -> None:
        key = fresh_key()
        put = await objects.put(key, b'{"state": "open"}', PLAIN)
        assert (put.key, put.size) == (key, 17)
        assert await objects.fetch(key) == (b'{"state": "open"}', put.tag)
        head = await objects.head(key)
        assert head is not None
        assert (head.key, head.size, head.tag) == (key, 17, put.tag)

    backend.play(scene)


def test_of_a_large_object_no_more_is_fetched_than_fits_into_memory(backend: Backend) -> None:
    async def scene(objects: Objects) -> None:
        key = fresh_key()
        content = bytes(MOST_FETCHED) + b"more"
        put = await objects.put(key, content, PLAIN)
        found = await objects.fetch(key)
        assert found is not None
        assert len(found[0]) == MOST_FETCHED
        assert found[1] == put.tag

    backend.play(scene)


def test_a_piece_of_a_file_is_put_as_it_is(backend: Backend, source: Source) -> None:
    content = source.fill(2_000_000)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        piece = source.piece(1000, 1_500_000)
        head = await objects.put(key, piece, PLAIN, ABSENT)
        assert head.size == 1_500_000
        assert head.crc32c in {None, piece.crc32c}
        assert await read(objects, key, 0, 1_500_000) == content[1000:1_501_000]

    backend.play(scene)


def test_an_object_may_be_empty(backend: Backend, source: Source) -> None:
    source.fill(0)

    async def scene(objects: Objects) -> None:
        for content in (b"", source.piece(0, 0)):
            key = fresh_key()
            assert (await objects.put(key, content, RICH, ABSENT)).size == 0
            head = await objects.head(key)
            assert head is not None
            assert (head.size, head.metadata) == (0, RICH.metadata)
            assert await read(objects, key, 0, 0) == b""

    backend.play(scene)


def test_a_put_without_a_condition_replaces(backend: Backend) -> None:
    async def scene(objects: Objects) -> None:
        key = fresh_key()
        first = await objects.put(key, b"first", PLAIN)
        second = await objects.put(key, b"second", PLAIN)
        assert first.tag != second.tag
        assert await objects.fetch(key) == (b"second", second.tag)

    backend.play(scene)


def test_a_put_for_a_free_key_never_overwrites(backend: Backend, source: Source) -> None:
    backend.needs("keeps_conditions")
    source.fill(100_000)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        first = await objects.put(key, b"first", PLAIN, ABSENT)
        for content in (b"second", b"first", source.piece(0, 100_000)):
            with pytest.raises(ConditionFailedError):
                await objects.put(key, content, PLAIN, ABSENT)
        assert await objects.fetch(key) == (b"first", first.tag)

    backend.play(scene)


def test_of_sixteen_that_race_for_a_free_key_one_wins(backend: Backend) -> None:
    backend.needs("keeps_conditions")

    async def scene(objects: Objects) -> None:
        key = fresh_key()

        async def race(number: int) -> str | None:
            try:
                return (await objects.put(key, b"%d" % number, PLAIN, ABSENT)).tag
            except ConditionFailedError:
                return None

        tags = await asyncio.gather(*map(race, range(16)))
        winners = [number for number, tag in enumerate(tags) if tag is not None]
        assert len(winners) == 1
        assert await objects.fetch(key) == (b"%d" % winners[0], tags[winners[0]])

    backend.play(scene)


def test_a_put_for_a_version_needs_that_version(backend: Backend) -> None:
    backend.needs("keeps_conditions")

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        first = await objects.put(key, b"first", PLAIN)
        second = await objects.put(key, b"second", PLAIN, Condition(first.tag))
        with pytest.raises(ConditionFailedError):
            await objects.put(key, b"stale", PLAIN, Condition(first.tag))
        assert await objects.fetch(key) == (b"second", second.tag)

    backend.play(scene)


def test_of_eight_that_race_for_a_version_one_wins(backend: Backend) -> None:
    backend.needs("keeps_conditions")

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        held = (await objects.put(key, b"free", PLAIN)).tag

        async def race(number: int) -> bool:
            try:
                await objects.put(key, b"%d" % number, PLAIN, Condition(held))
            except ConditionFailedError:
                return False
            return True

        won = await asyncio.gather(*map(race, range(8)))
        assert won.count(True) == 1
        found = await objects.fetch(key)
        assert found is not None
        assert found[0] == b"%d" % won.index(True)

    backend.play(scene)


def test_a_version_that_is_not_there_any_more_is_no_version(backend: Backend) -> None:
    backend.needs("keeps_conditions")

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        gone = await objects.put(key, b"gone", PLAIN)
        await objects.delete(key)
        with pytest.raises(ConditionFailedError):
            await objects.put(key, b"stale", PLAIN, Condition(gone.tag))
        assert await objects.head(key) is None

    backend.play(scene)


def test_what_is_not_there_is_said_to_be_not_there(backend: Backend) -> None:
    async def scene(objects: Objects) -> None:
        key = fresh_key()
        assert await objects.head(key) is None
        assert await objects.fetch(key) is None
        for length in (1, 0):
            with pytest.raises(ObjectNotFoundError):
                await read(objects, key, 0, length)

    backend.play(scene)


def test_what_was_deleted_is_gone_and_may_be_deleted_again(backend: Backend) -> None:
    async def scene(objects: Objects) -> None:
        key = fresh_key()
        await objects.delete(key)
        await objects.put(key, b"first", PLAIN)
        await objects.delete(key)
        await objects.delete(key)
        assert await objects.head(key) is None

    backend.play(scene)


def test_names_and_values_come_back_as_they_were(
    backend: Backend, source: Source, part: int
) -> None:
    source.fill(2 * part)

    async def scene(objects: Objects) -> None:
        put, made = fresh_key(), fresh_key()
        assert (await objects.put(put, b"x", RICH)).metadata == RICH.metadata
        assert (await upload(objects, made, source, RICH)).metadata == RICH.metadata
        for key in (put, made):
            head = await objects.head(key)
            assert head is not None
            assert head.metadata == RICH.metadata

    backend.play(scene)


# -- reading ------------------------------------------------------------------------------------


def test_any_range_is_read_as_it_was_stored(backend: Backend, source: Source, part: int) -> None:
    content = source.fill(2 * part + 12_345)
    size = len(content)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        await upload(objects, key, source)
        for start, end in (
            (0, size),
            (0, 1),
            (1, 2),
            (part - 1, part + 1),
            (part, 2 * part),
            (1000, size - 1000),
            (size - 1, size),
            (5, 5),
        ):
            assert await read(objects, key, start, end - start) == content[start:end]

    backend.play(scene)


def test_a_reader_may_leave_early(backend: Backend, source: Source) -> None:
    content = source.fill(3_000_000)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        await objects.put(key, source.piece(0, 3_000_000), PLAIN)
        for _ in range(3):
            async with aclosing(objects.get(key, 10, 2_999_990)) as pieces:
                first = await anext(pieces)
                assert content[10:].startswith(first)
        assert await read(objects, key, 2_999_999, 1) == content[-1:]

    backend.play(scene)


def test_anybody_may_get_what_was_signed(backend: Backend, source: Source) -> None:
    backend.needs("signs")
    content = source.fill(100_000)

    async def scene(objects: Objects) -> str:
        key = fresh_key()
        await objects.put(key, source.piece(0, 100_000), RICH)
        return await objects.sign(key, 60)

    with urllib.request.urlopen(backend.play(scene), timeout=10) as answer:
        assert answer.read() == content
        assert answer.headers["Content-Type"] == RICH.content_type
        assert answer.headers["Content-Disposition"] == RICH.disposition


def test_what_was_signed_holds_for_one_object(backend: Backend) -> None:
    backend.needs("checks_signatures")

    async def scene(objects: Objects) -> str:
        public, secret = fresh_key(), fresh_key()
        await objects.put(public, b"public", PLAIN)
        await objects.put(secret, b"secret", PLAIN)
        return (await objects.sign(public, 60)).replace(public, secret)

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(backend.play(scene), timeout=10)
    refused.value.close()
    assert refused.value.code == 403


# -- listing ------------------------------------------------------------------------------------


def test_keys_are_listed_by_how_they_begin(backend: Backend) -> None:
    async def scene(objects: Objects) -> None:
        prefix = fresh_key()
        keys = {f"{prefix}/{number:02}" for number in range(30)} | {f"{prefix}.info"}
        for key in keys:
            await objects.put(key, b"x", PLAIN)
        assert {key async for key in objects.list_keys(prefix)} == keys
        assert {key async for key in objects.list_keys(f"{prefix}/1")} == {
            f"{prefix}/{number}" for number in range(10, 20)
        }
        assert [key async for key in objects.list_keys(fresh_key())] == []

    backend.play(scene)
