"""What named storages ask of a store beyond the contract of all: lists that tell, and versions."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import pytest

from fileloft_fast.errors import ObjectNotFoundError
from fileloft_fast.stores.remote.objects import ListedObject, ListedObjects, ObjectHead, Objects
from tests.stores.pieces import PLAIN, RICH, Source, fresh_key, upload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.stores.backend import Backend


def play(backend: Backend, scene: Callable[[ListedObjects], Awaitable[None]]) -> None:
    async def played(objects: Objects) -> None:
        await scene(cast("ListedObjects", objects))

    backend.needs("lists_objects")
    backend.play(played)


def test_a_head_tells_media_type_and_time(backend: Backend, source: Source, part: int) -> None:
    source.fill(2 * part)

    async def scene(objects: ListedObjects) -> None:
        began_at = time.time()
        put, made = fresh_key(), fresh_key()
        await objects.put(put, b"x", RICH)
        await upload(objects, made, source, RICH)
        for key in (put, made):
            head = await objects.head(key)
            assert head is not None
            assert head.content_type == RICH.content_type
            assert began_at - 1 <= head.modified_at <= time.time() + 1  # some tell whole seconds

    play(backend, scene)


def test_a_list_tells_what_a_head_tells(backend: Backend) -> None:
    async def scene(objects: ListedObjects) -> None:
        prefix = fresh_key() + "/"
        keys = [prefix + path for path in ("A", "Z/z", "a", "a/b", "a/b/c", "aa", "b0")]
        for key in reversed(keys):
            await objects.put(key, key.encode(), PLAIN)
        await objects.put(fresh_key(), b"", PLAIN)
        heads = [await objects.head(key) for key in keys]
        assert [each async for each in objects.list_objects(prefix, "", 1000)] == [
            ListedObject(head.key, head.size, head.tag, head.modified_at)
            for head in heads
            if isinstance(head, ObjectHead)
        ]

    play(backend, scene)


def test_a_list_goes_on_where_another_ended(backend: Backend) -> None:
    async def scene(objects: ListedObjects) -> None:
        prefix = fresh_key() + "/"
        keys = [prefix + path for path in ("A", "Z/z", "a", "a/b", "a/b/c", "aa", "b0")]
        for key in keys:
            await objects.put(key, b"", PLAIN)
        for page in (1, 2, 3, 8):
            for number, after in enumerate(["", *(key + "/" for key in keys)]):
                found = objects.list_objects(prefix, after, page)
                assert [each.key async for each in found] == keys[number:]

    play(backend, scene)


def test_a_version_that_was_replaced_is_not_read(backend: Backend) -> None:
    async def read(objects: ListedObjects, key: str, tag: str, length: int) -> bytes:
        async with aclosing(objects.get(key, 0, length, tag)) as pieces:
            return b"".join([piece async for piece in pieces])

    async def scene(objects: ListedObjects) -> None:
        key = fresh_key()
        old = await objects.put(key, b"old", PLAIN)
        assert await read(objects, key, old.tag, 3) == b"old"
        assert await read(objects, key, old.tag, 0) == b""
        new = await objects.put(key, b"new", PLAIN)
        for length in (3, 0):
            with pytest.raises(ObjectNotFoundError):
                await read(objects, key, old.tag, length)
        assert await read(objects, key, new.tag, 3) == b"new"

    play(backend, scene)
