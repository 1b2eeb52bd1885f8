"""The objects of a bucket as a storage has them, over a bucket in memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, cast

import pytest
from msgspec.structs import replace

from fileloft_fast.config import PathRules, StorageBackend, StorageSettings, SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.errors import NoSuchObjectError, StorageBusyError
from fileloft_fast.flush.attributes import ID_NAME
from fileloft_fast.model import ByteStream, Offset, RequestHead, UploadId, UploadInfo
from fileloft_fast.storages.bucket_shelf import BucketShelf
from fileloft_fast.storages.catalogue import Catalogue
from fileloft_fast.storages.courier import Pacing
from fileloft_fast.storages.entry import Entry, Pending, Wish
from fileloft_fast.storages.showing import shown
from fileloft_fast.stores import FsStore
from fileloft_fast.stores.remote.objects import Attributes
from tests.stores.memory import MemoryObjects
from tests.stores.spooled import PART

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.storages.named import NamedStorage

SETTINGS: Final = StorageSettings(
    name="public", backend=StorageBackend.S3, bucket="bucket", prefix="in/"
)
CONTENT: Final = os.urandom(3 * PART + 1)
FORMER, NEWER = UploadId("a" * 32), UploadId("b" * 32)

Scene = Callable[["Shop"], Awaitable[None]]


class Shop:
    """A shelf, and everything around it."""

    def __init__(self, engine: Engine, root: Path, settings: StorageSettings) -> None:
        self.engine = engine
        self.store = FsStore(engine, str(root / "folder"), sync=SyncMode.NONE)
        self.catalogue = Catalogue(root / "storages.db")
        self.objects = MemoryObjects()
        pacing = Pacing(part_bytes=PART, parts_at_once=2, patience_s=20.0)
        self.shelf = BucketShelf(settings, self.store, self.catalogue, self.objects, pacing)

    async def stage(self, blob: UploadId, content: bytes = CONTENT, path: str = "a/b") -> Entry:
        """Have *content* in the folder, for *path*."""
        size = len(content)
        await self.store.create(UploadInfo(id=blob, offset=Offset(size), length=size), content)
        return Wish(path=path, content_type="image/png").entry(blob, size)

    async def wait_for_verification(self, blob: UploadId) -> Pending:
        """Have a staged object wait at a/b."""
        entry = await self.stage(blob)
        wish = Wish(path="a/b", nonce=blob, expires_at=2**40)
        await self.catalogue.await_verification("public", entry, wish)
        pending = await self.catalogue.pending("public", "a/b")
        assert pending is not None
        return pending

    async def paths(self, prefix: str = "", after: str = "") -> list[str]:
        return [entry.path async for entry in self.shelf.entries(prefix, after)]

    def content(self, key: str = "in/a/b") -> bytes | None:
        stored = self.objects.objects.get(key)
        return None if stored is None else stored.content

    def files(self) -> list[str]:
        return os.listdir(self.store.directory)  # noqa: PTH208 - a descriptor


def play(root: Path, scene: Scene, settings: StorageSettings = SETTINGS) -> None:
    async def played() -> None:
        engine = Engine(asyncio.get_running_loop())
        shop = Shop(engine, root, settings)
        try:
            await scene(shop)
        finally:
            await shop.catalogue.close()
            engine.close()
            shop.store.close()

    asyncio.run(played())


def test_what_was_published_is_in_the_bucket_and_no_more_in_the_folder(tmp_path: Path) -> None:
    async def scene(shop: Shop) -> None:
        entry = replace(await shop.stage(FORMER), metadata=(("colour", "red"), ("size", "a b")))
        published = await shop.shelf.publish(entry, overwrite=True)
        assert shop.content() == CONTENT
        assert not [name for name in shop.files() if name.startswith(FORMER)]
        assert published.blob == ""
        found = await shop.shelf.look("a/b")
        assert found is not None
        assert replace(found, modified_at=published.modified_at) == published
        assert found.metadata == entry.metadata
        assert found.content_type == "image/png"

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ("text/html;  charset=utf-8", "text/html; charset=utf-8"),
        ("text/\u00e9", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_a_content_type_is_stored_as_every_bucket_takes_it(
    tmp_path: Path, said: str, stored: str
) -> None:
    async def scene(shop: Shop) -> None:
        entry = replace(await shop.stage(FORMER), content_type=said)
        assert (await shop.shelf.publish(entry, overwrite=True)).content_type == stored
        found = await shop.shelf.look("a/b")
        assert found is not None
        assert found.content_type == stored

    play(tmp_path, scene)


def test_a_file_that_cannot_be_deleted_is_published_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: UploadId) -> bool:
        raise StorageBusyError("no descriptors left")

    async def scene(shop: Shop) -> None:
        monkeypatch.setattr(shop.store, "remove", fail)
        await shop.shelf.publish(await shop.stage(FORMER), overwrite=True)
        assert shop.content() == CONTENT

    play(tmp_path, scene)


def test_what_waits_is_shipped_once_it_is_verified(tmp_path: Path) -> None:
    async def scene(shop: Shop) -> None:
        pending = await shop.wait_for_verification(FORMER)
        assert await shop.shelf.look("a/b") is None
        assert await shop.shelf.promote(pending)
        assert shop.content() == CONTENT
        assert not await shop.shelf.promote(pending)
        assert await shop.catalogue.rubbish("public") == [FORMER]

    play(tmp_path, scene)


@pytest.mark.parametrize("name", ["put_part", "complete"])
def test_what_is_deleted_while_it_leaves_does_not_come_back(tmp_path: Path, name: str) -> None:
    async def scene(shop: Shop) -> None:
        pending = await shop.wait_for_verification(FORMER)
        gate = shop.objects.faults.gate(name)
        promoting = asyncio.create_task(shop.shelf.promote(pending))
        await gate.reached.wait()
        assert await shop.catalogue.settle("public", pending)
        gate.open()
        assert not await promoting
        assert shop.content() is None

    play(tmp_path, scene)


def test_what_comes_next_does_not_undo_what_was_verified(tmp_path: Path) -> None:
    async def scene(shop: Shop) -> None:
        pending = await shop.wait_for_verification(FORMER)
        gate = shop.objects.faults.gate("complete")
        promoting = asyncio.create_task(shop.shelf.promote(pending))
        await gate.reached.wait()
        newer = await shop.wait_for_verification(NEWER)
        gate.open()
        assert await promoting
        assert shop.objects.objects["in/a/b"].attributes.metadata[ID_NAME] == FORMER
        assert await shop.shelf.promote(newer)
        assert shop.objects.objects["in/a/b"].attributes.metadata[ID_NAME] == NEWER

    play(tmp_path, scene)


def test_who_reads_while_an_object_is_replaced_gets_the_new_one(tmp_path: Path) -> None:
    async def scene(shop: Shop) -> None:
        storage = cast("NamedStorage", shop.shelf)  # which hands looks and reads on to it
        head = RequestHead("GET", "/public/a", {})
        await shop.objects.put("in/a", b"older", Attributes())
        gate = shop.objects.faults.gate("get")
        reading = asyncio.create_task(shown(storage, "a", head, ()))
        await gate.reached.wait()
        newer = await shop.objects.put("in/a", b"newer", Attributes())
        gate.open()
        answer = await reading
        assert ("ETag", newer.tag) in answer.own
        assert isinstance(answer.body, ByteStream)
        async with aclosing(answer.body.pieces) as pieces:
            assert b"".join([piece async for piece in pieces]) == b"newer"

    play(tmp_path, scene)


def test_bytes_are_those_of_the_version_that_was_looked_up(tmp_path: Path) -> None:
    async def read(shop: Shop, entry: Entry) -> bytes:
        stream = await shop.shelf.read(entry, 1, 3)
        assert stream.length == 3
        async with aclosing(stream.pieces) as pieces:
            return b"".join([piece async for piece in pieces])

    async def scene(shop: Shop) -> None:
        await shop.objects.put("in/a", b"older", Attributes())
        older = await shop.shelf.look("a")
        assert older is not None
        assert await read(shop, older) == b"lde"
        await shop.objects.put("in/a", b"newer", Attributes())
        with pytest.raises(NoSuchObjectError):
            await read(shop, older)
        assert await shop.shelf.remove("a")
        assert not await shop.shelf.remove("a")
        assert await shop.shelf.look("a") is None

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("rules", "paths"),
    [
        (PathRules.STRICT, ["A", "a", "a/b", "a0", "b/c"]),
        (PathRules.RELAXED, ["A", "a", "a-b", "a.b", "a/b", "a0", "a_b", "b/c"]),
    ],
)
def test_a_list_has_what_can_be_named_and_goes_on_anywhere(
    tmp_path: Path, rules: PathRules, paths: list[str]
) -> None:
    keys = ["A", "a", "a b", "a-b", "a.b", "a/", "a//b", "a/../b", "a/b", "a0", "a_b", "b/c", "é"]

    async def scene(shop: Shop) -> None:
        for key in keys:
            await shop.objects.put(f"in/{key}", b"", Attributes())
        await shop.objects.put("a", b"", Attributes())
        assert await shop.paths() == paths
        for number, path in enumerate(paths, 1):
            assert await shop.paths(after=path) == paths[number:]
        assert await shop.paths("a") == [path for path in paths if path.startswith("a")]
        assert await shop.paths("b", "a") == ["b/c"]
        assert await shop.paths("x") == []

    play(tmp_path, scene, replace(SETTINGS, paths=rules))
