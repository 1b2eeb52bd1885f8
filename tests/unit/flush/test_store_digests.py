"""The spooled store: what the whole hashes to, though bytes leave the spool before it is whole."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Final

import pytest
from msgspec.structs import replace

from fileloft_fast.config import AckMode
from fileloft_fast.errors import StoreError
from fileloft_fast.flush import FlushPlan
from fileloft_fast.flush.journal import Part, parse, render
from fileloft_fast.flush.record import Record, parse_record
from fileloft_fast.model import Concat, Offset, UploadId, UploadInfo
from fileloft_fast.stores.fs.info_file import NO_HASHES, parse_info
from tests.stores.memory import PARALLEL, SEQUENTIAL, Bucket
from tests.stores.spooled import PART, PREFIX, Spooled, digests_of, hurry, spooled, until
from tests.unit.flush.test_store import BOTH, FINISH, ID, RECORD, SPOOL

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.stores.remote.objects import Limits

HASHES: Final = ("sha256", "sha512")
EACH: Final = pytest.mark.parametrize("limits", [PARALLEL, SEQUENTIAL], ids=["parallel", "one"])


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def record_in(bucket: Bucket) -> Record:
    record = parse_record(bucket.objects[RECORD].content, ID)
    assert record is not None
    return record


def without_state(contents: bytes) -> bytes:
    """Return an ``.info`` whose slot says nothing."""
    slot = parse_info(contents, ID).slot
    assert slot is not None
    end = slot.at + len(slot.value)
    return contents[: slot.at] + slot.filled(NO_HASHES) + contents[end:]


async def finish(process: Spooled, content: bytes) -> None:
    """Bring the rest, and see that everybody knows what it hashes to."""
    found = await process.load(ID)
    offset = found.info.offset
    assert await process.store.digests(found) == digests_of(content[:offset], HASHES)
    expected = digests_of(content, HASHES)
    assert (await process.patch(ID, content[offset:])).digests == expected
    await process.settled()
    assert (await process.head(ID)).digests == expected
    assert record_in(process.bucket).info.digests == expected
    assert await process.get(ID) == content


async def ship_some(process: Spooled, content: bytes) -> None:
    """Upload *content* but for its last byte, and see three parts leave."""
    await process.create(ID, len(content), hashes=HASHES)
    await process.patch(ID, content[: PART // 2])
    await process.patch(ID, content[PART // 2 : -1])
    await until(lambda: process.shipment(ID).shipped_end == 3 * PART)


@BOTH
@EACH
@pytest.mark.parametrize("size", [0, 5, PART, 3 * PART, 5 * PART + 7])
def test_the_record_and_where_it_can_the_object_say_it(
    tmp_path: Path, size: int, limits: Limits, plan: FlushPlan
) -> None:
    content, bucket = os.urandom(size), Bucket(limits)

    async def scene() -> None:
        async with spooled(tmp_path, bucket, plan) as process:
            await process.create(ID, size, hashes=HASHES)
            if size:
                await process.patch(ID, content[: size // 2])
            await finish(process, content)
            metadata = bucket.objects[PREFIX + ID].attributes.metadata
            if size <= PART:  # one put; a session has been told before
                for each in digests_of(content, HASHES):
                    assert metadata[f"fileloft-{each.algorithm}"] == each.digest.hex()

    asyncio.run(scene())


@pytest.mark.parametrize("body", [b"", b"hell", b"hello"])
def test_an_upload_that_is_made_with_a_body_is_hashed(tmp_path: Path, body: bytes) -> None:
    async def scene() -> None:
        async with spooled(tmp_path) as process:
            await process.create(ID, 5, body, hashes=HASHES)
            if body != b"hello":
                await finish(process, b"hello")
            await process.settled()
            assert record_in(process.bucket).info.digests == digests_of(b"hello", HASHES)

    asyncio.run(scene())


@EACH
@pytest.mark.parametrize("plan", [FINISH, SPOOL], ids=["finish", "spool"])
def test_a_lent_socket_is_hashed_part_by_part_and_a_kill_in_the_middle_costs_nothing(
    tmp_path: Path, limits: Limits, plan: FlushPlan
) -> None:
    content, bucket = os.urandom(8 * PART), Bucket(limits)

    async def scene() -> None:
        async with spooled(tmp_path, bucket, plan) as process:
            await process.create(ID, len(content), hashes=HASHES)
            await process.patch(ID, content[:100])
            appender = await process.store.open(await process.load(ID))
            ours, theirs = socket.socketpair()
            with ours, theirs:
                theirs.settimeout(0)
                transfer = appender.receive(
                    ours.fileno(),
                    len(content) - 100,
                    content[100:200],
                    idle_ms=60_000,
                    min_rate=0,
                )
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(theirs, content[200 : 6 * PART + 77])
                await until(lambda: process.shipment(ID).shipped_end >= 6 * PART)
                transfer.cancel()
                await transfer.done
            await process.kill()
        async with spooled(tmp_path, bucket, plan) as process:
            assert (await process.load(ID)).info.offset == 6 * PART + 77
            await finish(process, content)

    asyncio.run(scene())


@pytest.mark.parametrize("left", [3 * PART, 3 * PART + 5, 4 * PART - 1])
@pytest.mark.parametrize("kept", ["first", "last", "none"])
def test_a_power_cut_that_takes_bytes_or_states_leaves_one_that_fits(
    tmp_path: Path, left: int, kept: str
) -> None:
    content, bucket = os.urandom(4 * PART), Bucket()
    info = tmp_path / f"{ID}.info"

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            await process.create(ID, len(content), hashes=HASHES)
            first = info.read_bytes()
            await process.patch(ID, content[:-1])
            await until(lambda: process.shipment(ID).shipped_end == 3 * PART)
            await process.kill()
        last = info.read_bytes()
        info.write_bytes({"first": first, "last": last, "none": without_state(last)}[kept])
        os.truncate(tmp_path / ID, left)
        async with spooled(tmp_path, bucket, FINISH) as process:
            assert (await process.load(ID)).info.offset == left
            await finish(process, content)

    asyncio.run(scene())


def test_bytes_that_have_left_without_a_state_leave_the_upload_without_a_digest(
    tmp_path: Path,
) -> None:
    content, bucket = os.urandom(4 * PART), Bucket()
    info = tmp_path / f"{ID}.info"

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            await ship_some(process, content)
            await process.kill()
        journal = tmp_path / f"{ID}.journal"
        info.write_bytes(without_state(info.read_bytes()))
        journal.write_bytes(_unnoted(journal.read_bytes()))
        async with spooled(tmp_path, bucket, FINISH) as process:
            with pytest.raises(StoreError, match="lost"):
                await process.store.digests(await process.load(ID))
            info_after = await process.patch(ID, content[-1:])
            assert (info_after.complete, info_after.digests) == (True, ())
            await process.settled()
            assert process.content(ID) == content
            assert (await process.head(ID)).digests == ()
            with pytest.raises(StoreError, match="lost"):
                await process.store.digests(await process.load(ID))

    asyncio.run(scene())


def _unnoted(journal: bytes) -> bytes:
    entries, _ = parse(journal)
    changed = [replace(each, running="") if isinstance(each, Part) else each for each in entries]
    return b"".join(map(render, changed))


@BOTH
def test_a_body_whose_end_was_not_acknowledged_is_hashed_after_a_restart(
    tmp_path: Path, plan: FlushPlan
) -> None:
    content, bucket = os.urandom(5 * PART + 3), Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, plan) as process:
            await process.create(ID, len(content), hashes=HASHES)
            appender = await process.store.open(await process.load(ID))
            await appender.write(content)
            await until(lambda: process.shipment(ID).shipped_end == 5 * PART)
            await process.kill()
        async with spooled(tmp_path, bucket, plan) as process:
            await process.settled()
            assert process.content(ID) == content
            assert (await process.head(ID)).digests == digests_of(content, HASHES)

    asyncio.run(scene())


def test_a_body_that_was_cut_at_its_last_byte_is_hashed_all_the_same(tmp_path: Path) -> None:
    content = os.urandom(2 * PART)

    async def scene() -> None:
        async with spooled(tmp_path) as process:
            await process.create(ID, len(content), hashes=HASHES)
            appender = await process.store.open(await process.load(ID))
            await appender.write(content)
            await appender.keep()
            await process.settled()
            assert (await process.head(ID)).digests == digests_of(content, HASHES)

    asyncio.run(scene())


@pytest.mark.parametrize("plan", [FINISH, SPOOL, FlushPlan(ack=AckMode.CHUNK)])
@pytest.mark.parametrize("sizes", [(PART + 5, 0, 9), (0, 0)], ids=["some", "nothing"])
def test_a_final_upload_is_hashed(tmp_path: Path, plan: FlushPlan, sizes: tuple[int, ...]) -> None:
    contents = [os.urandom(size) for size in sizes]

    async def scene() -> None:
        async with spooled(tmp_path, Bucket(), plan) as process:
            parts = []
            for name, content in zip("bcd", contents, strict=False):
                part = UploadId(name * 32)
                await process.create(part, len(content), content, Concat.PARTIAL)
                parts.append(await process.load(part))
            whole = b"".join(contents)
            made = await process.store.concatenate(
                UploadInfo(
                    id=ID,
                    offset=Offset(len(whole)),
                    length=len(whole),
                    concat=Concat.FINAL,
                    hashes=HASHES,
                ),
                parts,
            )
            assert made.digests == digests_of(whole, HASHES)
            await process.settled()
            assert process.content(ID) == whole
            assert (await process.head(ID)).digests == digests_of(whole, HASHES)

    asyncio.run(scene())
