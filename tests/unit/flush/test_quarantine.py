"""Uploads of which it is not known what has left: left alone, by everybody, until a later start."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import pytest

import tests.stores.spooled
from fileloft_fast.config import AckMode
from fileloft_fast.dataplane import digest_of
from fileloft_fast.errors import NotStoredError, StoreError
from fileloft_fast.flush import FlushPlan
from fileloft_fast.model import UploadId
from tests.stores.memory import Bucket
from tests.stores.spooled import PART, PREFIX, Spooled, hurry, spooled, until

if TYPE_CHECKING:
    from pathlib import Path

ID: Final = UploadId("a" * 32)
FINISH: Final = FlushPlan(orphan_age_s=-1.0)
SPOOL: Final = FlushPlan(ack=AckMode.SPOOL, orphan_age_s=-1.0)
BOTH: Final = pytest.mark.parametrize("plan", [FINISH, SPOOL], ids=["finish", "spool"])


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


async def ship_some(process: Spooled, content: bytes, parts: int = 3) -> None:
    """Upload *content* but for its last byte, and see so many parts leave."""
    await process.create(ID, len(content))
    await process.patch(ID, content[:-1])
    await until(lambda: process.shipment(ID).shipped_end == parts * PART)


# -- a journal that cannot be trusted -------------------------------------------------------------


def rot(root: Path) -> None:
    """Flip a bit in the middle of the journal."""
    journal = root / f"{ID}.journal"
    contents = bytearray(journal.read_bytes())
    contents[3] ^= 1
    journal.write_bytes(contents)


def rot_at_the_end(root: Path) -> None:
    """Flip a bit in the last line, whose bytes may be a hole already."""
    journal = root / f"{ID}.journal"
    contents = bytearray(journal.read_bytes())
    contents[-5] ^= 1
    journal.write_bytes(contents)


def downgrade(root: Path) -> None:
    """Add an entry of a later version."""
    text = b'{"type":"novelty"}'
    with (root / f"{ID}.journal").open("ab") as journal:
        journal.write(b"%b %b\n" % (digest_of("crc32c", text).hex().encode(), text))


def unread(root: Path) -> None:
    """Put something in the journal's place that cannot be read."""
    (root / f"{ID}.journal").rename(root / "kept")
    (root / f"{ID}.journal").mkdir()


def unknown(root: Path) -> None:
    """Damage the upload's own record."""
    (root / f"{ID}.info").rename(root / "kept")
    (root / f"{ID}.info").write_bytes(b"damaged")


HARMS: Final = [rot, rot_at_the_end, downgrade, unread, unknown]


@BOTH
@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_an_upload_that_is_not_recovered_is_left_alone_by_everybody(
    tmp_path: Path, plan: FlushPlan, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    content = os.urandom(4 * PART)
    bucket, root, before = Bucket(), tmp_path / "spool", tmp_path / "before"

    async def scene() -> None:
        async with spooled(root, bucket, plan) as process:
            await ship_some(process, content)
            await process.kill()
        shutil.copytree(root, before)
        harm(root)
        async with spooled(root, bucket, plan) as process:
            assert process.flusher.shipments == {}
            files = process.files(ID)
            assert files == [ID, f"{ID}.info", f"{ID}.journal"]
            with pytest.raises(StoreError, match="set aside"):
                await process.load(ID)
            with pytest.raises(StoreError, match="set aside"):
                await process.store.remove(ID)
            assert [name async for name in process.store.names()] == []
            await process.store.tidy()
            assert process.files(ID) == files
            assert len(bucket.sessions) == 1
            assert list(bucket.objects) == [f"{PREFIX}{ID}.info"]
            assert caplog.text.count("upload set aside") == 1
        shutil.rmtree(root)
        shutil.copytree(before, root)
        async with spooled(root, bucket, plan) as process:
            await process.patch(ID, content[-1:])
            await process.settled()
            assert process.content(ID) == content

    asyncio.run(scene())


@BOTH
def test_an_upload_that_was_begun_elsewhere_does_not_go_on_here(
    tmp_path: Path,
    plan: FlushPlan,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, plan) as process:
            await ship_some(process, content)
            await process.kill()
        with monkeypatch.context() as patched:
            patched.setattr(tests.stores.spooled, "PREFIX", "new/")
            async with spooled(tmp_path, bucket, plan) as process:
                with pytest.raises(StoreError, match="FILELOFT_S3_PREFIX"):
                    await process.load(ID)
                await process.store.tidy()
        assert caplog.text.count("upload set aside") == 1
        async with spooled(tmp_path, bucket, plan) as process:
            await process.patch(ID, content[-1:])
            await process.settled()
            assert process.content(ID) == content

    asyncio.run(scene())


def test_an_upload_that_was_begun_in_another_bucket_does_not_go_on_in_this_one(
    tmp_path: Path,
) -> None:
    content = os.urandom(4 * PART)
    first, second = FlushPlan(bucket="s3:first"), FlushPlan(bucket="s3:second")
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, first) as process:
            await ship_some(process, content)
            await process.kill()
        async with spooled(tmp_path, Bucket(), second) as process:
            with pytest.raises(StoreError, match=r"s3:first .*s3:second .*FILELOFT_S3_BUCKET"):
                await process.load(ID)
        async with spooled(tmp_path, bucket, FlushPlan()) as process:  # not known: any may be it
            await process.patch(ID, content[-1:])
            assert process.content(ID) == content

    asyncio.run(scene())


def test_a_damaged_journal_without_an_upload_protects_the_session(tmp_path: Path) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            await ship_some(process, content)
            await process.kill()
        (tmp_path / f"{ID}.info").rename(tmp_path / "info")
        rot(tmp_path)
        async with spooled(tmp_path, bucket, FINISH) as process:
            await process.store.tidy()
            assert len(bucket.sessions) == 1
            assert (tmp_path / f"{ID}.journal").exists()

    asyncio.run(scene())


# -- what a request finds -------------------------------------------------------------------------


def test_a_finished_upload_that_nobody_ships_is_never_told_as_stored(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, Bucket(), FINISH, down=True) as process:
            await process.create(ID, 5)
            with process.hasty(), pytest.raises(NotStoredError):
                await process.patch(ID, b"hello")
            shipment = process.shipment(ID)
            await process.flusher.halt(shipment)
            process.flusher.forget(shipment)
            with pytest.raises(NotStoredError):
                await process.head(ID)
            with pytest.raises(NotStoredError):
                await process.store.append(await process.load(ID), b"")

    asyncio.run(scene())


def test_an_upload_that_was_stored_while_it_was_looked_at_is_confirmed(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, Bucket(), FINISH) as process:
            gate = process.objects.faults.gate("put", key=".info")
            await process.create(ID, 5)
            await process.patch(ID, b"hello")
            found = await process.load(ID)
            gate.open()
            await process.settled()
            await process.store.confirm(found)

    asyncio.run(scene())


def test_what_is_set_aside_between_two_steps_of_a_request_is_not_served(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, Bucket(), SPOOL, down=True) as process:
            await process.create(ID, 5, b"hello")
            found = await process.load(ID)
            process.store._dock.quarantine.add(ID, "as a test wants it")
            with pytest.raises(StoreError, match="as a test wants it"):
                await process.store.read(found, 0, 5)

    asyncio.run(scene())


def test_no_shipment_is_made_of_what_is_set_aside(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, Bucket(), FINISH) as process:
            await process.create(ID, 5)
            found = await process.load(ID)
            process.store._dock.quarantine.add(ID, "as a test wants it")
            with pytest.raises(StoreError, match="as a test wants it"):
                await process.store.append(found, b"hello")
            assert process.flusher.shipments == {}

    asyncio.run(scene())
