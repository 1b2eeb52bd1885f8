"""The contract of ``Objects`` for sessions, their parts, and joins; see ``test_objects``."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from fileloft_fast.errors import (
    CannotJoinError,
    ConditionFailedError,
    ObjectNotFoundError,
    SessionLostError,
    StoreError,
)
from fileloft_fast.stores.remote.objects import (
    ABSENT,
    Limits,
    ObjectHead,
    Objects,
)
from tests.stores.pieces import (
    PLAIN,
    RICH,
    Source,
    complete,
    fresh_key,
    put_parts,
    read,
    upload,
)

if TYPE_CHECKING:
    from tests.stores.backend import Backend

# -- sessions -----------------------------------------------------------------------------------


def test_parts_make_exactly_their_bytes(backend: Backend, source: Source, part: int) -> None:

    async def scene(objects: Objects) -> None:
        for size in (1, part, part + 1, 2 * part, 3 * part + 7):
            content = source.fill(size)
            key = fresh_key()
            made = await upload(objects, key, source)
            assert (made.key, made.size) == (key, size)
            head = await objects.head(key)
            assert head is not None
            assert (head.size, head.tag) == (size, made.tag)
            assert await read(objects, key, 0, size) == content

    backend.play(scene)


def test_parts_may_come_in_any_order_and_at_once(
    backend: Backend, source: Source, part: int, limits: Limits
) -> None:
    if limits.sequential:
        pytest.skip("one part at a time")
    content = source.fill(3 * part + 99)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        session = await objects.create(key, PLAIN)
        pieces = list(enumerate(source.cut(part), 1))
        receipts = await asyncio.gather(
            *(
                objects.put_part(key, session, number, piece.start, piece)
                for number, piece in reversed(pieces)
            )
        )
        await complete(objects, key, session, receipts[::-1], source)
        assert await read(objects, key, 0, len(content)) == content

    backend.play(scene)


def test_a_part_that_is_sent_twice_is_there_once(
    backend: Backend, source: Source, part: int
) -> None:
    content = source.fill(2 * part + 5)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        session = await objects.create(key, PLAIN)
        pieces = source.cut(part)
        await objects.put_part(key, session, 1, 0, pieces[0])
        receipts = await put_parts(objects, key, session, pieces)
        listed = await objects.list_parts(key, session)
        if objects.limits.sequential:
            assert [(0, 2 * part)] == [(receipt.number, receipt.size) for receipt in listed]
        else:
            assert [r.number for r in listed] == [1, 2, 3]
            assert [r.tag for r in listed] == [r.tag for r in receipts]
        await complete(objects, key, session, receipts, source)
        assert await read(objects, key, 0, len(content)) == content

    backend.play(scene)


def test_of_two_versions_of_a_part_the_one_that_is_named_counts(
    backend: Backend,
    source: Source,
    tmp_path_factory: pytest.TempPathFactory,
    part: int,
    limits: Limits,
) -> None:
    if limits.sequential:
        pytest.skip("bytes that were stored stay")
    content = source.fill(part + 5)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        session = await objects.create(key, PLAIN)
        with Source(tmp_path_factory.mktemp("other") / "spool") as other:
            other.fill(part, "other")
            await objects.put_part(key, session, 1, 0, other.piece(0, part))
        receipts = await put_parts(objects, key, session, source.cut(part))
        await complete(objects, key, session, receipts, source)
        assert await read(objects, key, 0, len(content)) == content

    backend.play(scene)


def test_another_process_goes_on_with_a_session(
    backend: Backend, source: Source, part: int
) -> None:
    content = source.fill(3 * part)
    key = fresh_key()

    async def begin(objects: Objects) -> str:
        session = await objects.create(key, PLAIN)
        for number in (1, 2):
            await objects.put_part(
                key, session, number, (number - 1) * part, source.piece((number - 1) * part, part)
            )
        return session

    session = backend.play(begin)

    async def go_on(objects: Objects) -> None:
        known = await objects.list_parts(key, session)
        assert sum(receipt.size for receipt in known) == 2 * part
        # The checksum is the journal's to know: not every store tells it.
        receipts = [
            replace(receipt, crc32c=source.piece((receipt.number - 1) * part, part).crc32c)
            if receipt.number
            else receipt
            for receipt in known
        ]
        if not objects.limits.last_completes:
            last = source.piece(2 * part, part)
            receipts.append(await objects.put_part(key, session, 3, 2 * part, last))
        await complete(objects, key, session, receipts, source)
        assert await read(objects, key, 0, len(content)) == content

    backend.play(go_on)


def test_a_completion_never_overwrites(backend: Backend, source: Source, part: int) -> None:
    backend.needs("keeps_conditions")
    source.fill(2 * part)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        first = await objects.put(key, b"first", PLAIN)
        with pytest.raises(ConditionFailedError):
            await upload(objects, key, source)
        assert await objects.fetch(key) == (b"first", first.tag)

    backend.play(scene)


def test_nothing_is_there_before_the_completion(
    backend: Backend, source: Source, part: int
) -> None:
    source.fill(2 * part)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        session = await objects.create(key, PLAIN)
        await objects.put_part(key, session, 1, 0, source.piece(0, part))
        assert await objects.head(key) is None
        assert await objects.fetch(key) is None
        assert [found async for found in objects.list_keys(key)] == []
        await objects.abort(key, session)

    backend.play(scene)


def test_an_aborted_session_is_lost(backend: Backend, source: Source, part: int) -> None:
    backend.needs("ends_sessions")
    source.fill(2 * part)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        session = await objects.create(key, PLAIN)
        receipt = await objects.put_part(key, session, 1, 0, source.piece(0, part))
        await objects.abort(key, session)
        await objects.abort(key, session)
        with pytest.raises(SessionLostError):
            await objects.put_part(key, session, 2, part, source.piece(part, part))
        with pytest.raises(SessionLostError):
            await objects.list_parts(key, session)
        with pytest.raises(SessionLostError):
            await complete(objects, key, session, [receipt], source)
        assert await objects.head(key) is None

    backend.play(scene)


def test_damaged_bytes_are_refused(backend: Backend, source: Source, part: int) -> None:
    backend.needs("verifies_parts")
    source.fill(2 * part)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        piece = source.piece(0, part)
        damaged = replace(piece, crc32c=piece.crc32c ^ 1)
        with pytest.raises(StoreError):
            await objects.put(key, damaged, PLAIN, ABSENT)
        assert await objects.head(key) is None
        session = await objects.create(key, PLAIN)
        with pytest.raises(StoreError):
            await objects.put_part(key, session, 1, 0, damaged)
        assert sum(receipt.size for receipt in await objects.list_parts(key, session)) == 0
        await objects.put_part(key, session, 1, 0, piece)
        await objects.abort(key, session)

    backend.play(scene)


def test_parts_that_are_not_what_they_were_make_no_object(
    backend: Backend, source: Source, part: int, limits: Limits
) -> None:
    if limits.sequential:
        pytest.skip("a session holds bytes, not parts")
    source.fill(2 * part)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        session = await objects.create(key, PLAIN)
        pieces = source.cut(part)
        receipts = await put_parts(objects, key, session, pieces)
        forged = replace(receipts[1], tag=receipts[0].tag[::-1])
        with pytest.raises(StoreError):
            await complete(objects, key, session, [receipts[0], forged], source)
        assert await objects.head(key) is None
        await objects.abort(key, session)

    backend.play(scene)


def test_open_sessions_are_listed_until_they_end(
    backend: Backend, source: Source, part: int
) -> None:
    backend.needs("lists_sessions")
    source.fill(part)

    async def scene(objects: Objects) -> None:
        prefix = f"{fresh_key()}/"
        begun = {key: await objects.create(key, PLAIN) for key in (prefix + "a", prefix + "b")}
        other = fresh_key()
        foreign = await objects.create(other, PLAIN)
        for key, session in (*begun.items(), (other, foreign)):
            await objects.put_part(key, session, 1, 0, source.piece(0, part))
        listed = [session async for session in objects.list_sessions(prefix)]
        assert {found.key: found.session for found in listed} == begun
        assert all(abs(found.created_at - time.time()) < 60 for found in listed)
        await objects.abort(prefix + "a", begun[prefix + "a"])
        listed = [session async for session in objects.list_sessions(prefix)]
        assert [found.key for found in listed] == [prefix + "b"]
        await objects.abort(prefix + "b", begun[prefix + "b"])
        await objects.abort(other, foreign)

    backend.play(scene)


# -- joining ------------------------------------------------------------------------------------


def test_a_join_holds_its_sources_in_order_or_is_refused(
    backend: Backend, source: Source, part: int
) -> None:
    content = source.fill(2 * part + 1000)

    async def scene(objects: Objects) -> None:
        sources = await _store_slices(objects, source, [part + 500, 0, part, 500])
        key = fresh_key()
        try:
            joined = await objects.join(key, sources, RICH)
        except CannotJoinError:
            assert await objects.head(key) is None
            return
        assert (joined.key, joined.size, joined.metadata) == (key, len(content), RICH.metadata)
        assert await read(objects, key, 0, len(content)) == content
        head = await objects.head(key)
        assert head is not None
        assert (head.tag, head.metadata) == (joined.tag, RICH.metadata)
        for found in sources:
            assert await objects.head(found.key) is not None

    backend.play(scene)


def test_a_join_of_small_objects_is_exact_or_leaves_nothing(
    backend: Backend, source: Source
) -> None:
    content = source.fill(2500)

    async def scene(objects: Objects) -> None:
        sources = await _store_slices(objects, source, [1000, 1, 1499])
        key = fresh_key()
        try:
            await objects.join(key, sources, PLAIN)
        except CannotJoinError:
            assert await objects.head(key) is None
            assert [found async for found in objects.list_sessions(key)] == []
        else:
            assert await read(objects, key, 0, 2500) == content

    backend.play(scene)


def test_a_join_never_overwrites(backend: Backend, source: Source, part: int) -> None:
    backend.needs("keeps_conditions")
    source.fill(2 * part)

    async def scene(objects: Objects) -> None:
        sources = await _store_slices(objects, source, [part, part])
        key = fresh_key()
        first = await objects.put(key, b"first", PLAIN)
        with pytest.raises((ConditionFailedError, CannotJoinError)):
            await objects.join(key, sources, PLAIN)
        assert await objects.fetch(key) == (b"first", first.tag)
        assert [found async for found in objects.list_sessions(key)] == []

    backend.play(scene)


def test_a_join_of_nothing_is_an_empty_object_or_is_refused(
    backend: Backend, source: Source
) -> None:
    source.fill(0)

    async def scene(objects: Objects) -> None:
        sources = await _store_slices(objects, source, [0, 0])
        key = fresh_key()
        try:
            joined = await objects.join(key, sources, RICH)
        except CannotJoinError:
            assert await objects.head(key) is None
        else:
            assert (joined.size, await objects.fetch(key)) == (0, (b"", joined.tag))

    backend.play(scene)


def test_a_join_of_what_was_replaced_or_deleted_is_refused(
    backend: Backend, source: Source, part: int
) -> None:
    source.fill(2 * part)

    async def scene(objects: Objects) -> None:
        for spoil in (_delete, _replace):
            sources = await _store_slices(objects, source, [part, part])
            await spoil(objects, sources[0].key)
            key = fresh_key()
            with pytest.raises((ObjectNotFoundError, CannotJoinError)):
                await objects.join(key, sources, PLAIN)
            assert await objects.head(key) is None

    backend.play(scene)


async def _delete(objects: Objects, key: str) -> None:
    await objects.delete(key)


async def _replace(objects: Objects, key: str) -> None:
    await objects.put(key, b"other", PLAIN)


async def _store_slices(objects: Objects, source: Source, sizes: list[int]) -> list[ObjectHead]:
    heads: list[ObjectHead] = []
    start = 0
    for size in sizes:
        heads.append(await objects.put(fresh_key(), source.piece(start, size), PLAIN, ABSENT))
        start += size
    return heads
