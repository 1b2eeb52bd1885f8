"""What the whole of an upload hashes to: through requests, restarts, crashes and lost bytes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.config import SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.model import Checksum, Concat, Offset, UploadId, UploadInfo
from fileloft_fast.stores import FsStore
from fileloft_fast.stores.fs.info_file import _parse_known, parse_info, render_info
from fileloft_fast.stores.running import HASHES, LARGEST, Running

if TYPE_CHECKING:
    from pathlib import Path

ID: Final = UploadId("a" * 32)
DATA: Final = bytes(range(256)) * 40
SIZE: Final = len(DATA)
ALL: Final = (("sha256",), ("sha512",), ("sha256", "sha512"), ("sha512", "sha256"))
EACH: Final = pytest.mark.parametrize("hashes", ALL, ids="-".join)
SYNCS: Final = pytest.mark.parametrize("sync", list(SyncMode), ids=lambda mode: mode.value)
BOTH: Final = ("sha256", "sha512")

Act = Callable[[FsStore], Coroutine[Any, Any, None]]


def digests_of(data: bytes, hashes: tuple[str, ...]) -> tuple[Checksum, ...]:
    return tuple(Checksum(name, hashlib.new(name, data).digest()) for name in hashes)


def info_of(hashes: tuple[str, ...] = BOTH, **fields: Any) -> UploadInfo:
    fields = {"id": ID, "offset": Offset(0), "length": SIZE, "hashes": hashes, **fields}
    return UploadInfo(**fields)


@asynccontextmanager
async def opened(root: Path, sync: SyncMode = SyncMode.NONE) -> AsyncIterator[FsStore]:
    engine = Engine(asyncio.get_running_loop())
    store = FsStore(engine, str(root), sync=sync)
    try:
        yield store
    finally:
        engine.close()
        store.close()


def play(root: Path, *acts: Act, sync: SyncMode = SyncMode.NONE) -> None:
    """Let *acts* work on the directory *root*, each in a store of its own."""

    async def scene(act: Act) -> None:
        async with opened(root, sync) as store:
            await act(store)

    for act in acts:
        asyncio.run(scene(act))


def slot_in(root: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((root / f"{ID}.info").read_bytes())["fast"]["digests"]
    return kept


async def crash(store: FsStore, data: bytes) -> None:
    """Leave what a kill in the middle of a request leaves: the bytes."""
    appender = await store.open(await store.load(ID))
    await appender.write(data)
    os.close(appender._descriptor)


async def finish(store: FsStore) -> None:
    """Append what lacks, and see that everybody is told the digests of it all."""
    found = await store.load(ID)
    assert found.info.digests == ()
    assert await store.digests(found) == digests_of(DATA[: found.info.offset], found.info.hashes)
    info = await store.append(await store.load(ID), DATA[found.info.offset :])
    expected = digests_of(DATA, info.hashes)
    assert (info.complete, info.digests) == (True, expected)
    found = await store.load(ID)
    assert found.info.digests == expected
    assert await store.digests(found) == expected


@SYNCS
@EACH
def test_requests_and_restarts_do_not_show_in_the_digest(
    tmp_path: Path, hashes: tuple[str, ...], sync: SyncMode
) -> None:
    async def begin(store: FsStore) -> None:
        await store.create(info_of(hashes), b"")
        info = await store.append(await store.load(ID), DATA[:100])
        assert (info.offset, info.digests) == (100, ())

    async def go_on(store: FsStore) -> None:
        appender = await store.open(await store.load(ID))
        await appender.write(DATA[100:1000])
        await appender.write(DATA[1000:1001])
        await appender.commit()
        appender = await store.open(await store.load(ID))
        await appender.write(DATA[1001:5000])
        await appender.keep()
        assert slot_in(tmp_path)["at"] == 5000

    play(tmp_path, begin, go_on, finish, sync=sync)
    assert slot_in(tmp_path) == {name: hashlib.new(name, DATA).hexdigest() for name in hashes}, (
        "anybody can read it"
    )


@EACH
@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("algorithm", [None, "md5", "crc32", "sha256", "sha512"])
def test_a_request_has_a_checksum_of_its_own_beside_that_of_the_whole(
    tmp_path: Path,
    hashes: tuple[str, ...],
    algorithm: str | None,
    checked: bool,  # noqa: FBT001 - a parameter
) -> None:
    async def act(store: FsStore) -> None:
        await store.create(info_of(hashes), DATA[:77])
        found = await store.load(ID)
        appender = await store.open(found, checked=checked, algorithm=algorithm)
        await appender.write(DATA[77:3000])
        assert await appender.checksum("md5") == hashlib.md5(DATA[77:3000]).digest()
        assert await appender.checksum("sha256") == hashlib.sha256(DATA[77:3000]).digest()
        await appender.commit()
        await finish(store)

    play(tmp_path, act)


@pytest.mark.parametrize("checked", [False, True])
def test_a_lent_socket_feeds_it_too(
    tmp_path: Path,
    checked: bool,  # noqa: FBT001 - a parameter
) -> None:
    async def act(store: FsStore) -> None:
        await store.create(info_of(), DATA[:9])
        appender = await store.open(await store.load(ID), checked=checked, algorithm="md5")
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(DATA[20:5000])
            transfer = appender.receive(
                ours.fileno(), 5000 - 9, DATA[9:20], idle_ms=10_000, min_rate=0
            )
            await appender.settle(transfer)
        assert await appender.checksum("md5") == hashlib.md5(DATA[9:5000]).digest()
        await appender.commit()
        assert slot_in(tmp_path)["at"] == 5000
        await finish(store)

    play(tmp_path, act)


def test_bytes_that_were_taken_back_are_not_in_it(tmp_path: Path) -> None:
    async def act(store: FsStore) -> None:
        await store.create(info_of(), DATA[:50])
        appender = await store.open(await store.load(ID), checked=True, algorithm="sha256")
        await appender.write(b"wrong" * 100)
        await appender.discard()
        appender = await store.open(await store.load(ID))
        await appender.write(DATA[50:200] + b"more")
        await appender.cut(150)
        assert (await appender.commit()).offset == 200
        await finish(store)

    play(tmp_path, act)


def test_what_was_cut_to_its_end_is_hashed_when_it_is_complete(tmp_path: Path) -> None:
    async def act(store: FsStore) -> None:
        await store.create(info_of(), b"")
        appender = await store.open(await store.load(ID))
        await appender.write(DATA + b"more")
        await appender.cut(SIZE)
        assert (await appender.commit()).digests == digests_of(DATA, BOTH)
        assert (await store.load(ID)).info.digests == digests_of(DATA, BOTH)

    play(tmp_path, act)


@EACH
def test_what_a_crash_has_left_unhashed_is_hashed_from_the_file(
    tmp_path: Path, hashes: tuple[str, ...]
) -> None:
    async def act(store: FsStore) -> None:
        await store.create(info_of(hashes), DATA[:10])
        await crash(store, DATA[10:4000])
        assert slot_in(tmp_path)["at"] == 10

    play(tmp_path, act, finish)


@pytest.mark.parametrize("left", [0, 1, 63, 500])
def test_bytes_that_were_lost_are_not_in_it_though_others_came_in_their_place(
    tmp_path: Path, left: int
) -> None:
    async def act(store: FsStore) -> None:
        await store.create(info_of(), DATA[:left] + b"x" * (1000 - left))

    async def go_on(store: FsStore) -> None:
        await crash(store, DATA[left:3000])

    play(tmp_path, act)
    os.truncate(tmp_path / ID, left)
    play(tmp_path, go_on, finish)


def test_a_length_that_is_told_late_keeps_it(tmp_path: Path) -> None:
    async def act(store: FsStore) -> None:
        await store.create(info_of(length=None), b"")
        before = await store.load(ID)
        await store.append(before, DATA)
        assert slot_in(tmp_path)["at"] == SIZE
        found = await store.declare(await store.load(ID), SIZE, awaits_end=True)
        assert (found.info.digests, slot_in(tmp_path)["at"]) == ((), SIZE)
        assert await store.digests(found) == digests_of(DATA, BOTH)
        found = await store.declare(found, SIZE)
        assert found.info.digests == digests_of(DATA, BOTH)
        assert (await store.append(found, b"")).digests == digests_of(DATA, BOTH)

    async def again(store: FsStore) -> None:
        assert (await store.load(ID)).info.digests == digests_of(DATA, BOTH)

    play(tmp_path, act, again)


def test_a_record_that_is_replaced_after_a_request_keeps_what_that_has_hashed(
    tmp_path: Path,
) -> None:
    async def act(store: FsStore) -> None:
        await store.create(info_of(length=None), b"")
        found = await store.load(ID)
        await store.append(found, DATA[:500])
        await store.declare(found, SIZE)
        assert slot_in(tmp_path)["at"] == 500
        await finish(store)

    play(tmp_path, act)


@EACH
def test_a_complete_upload_that_a_crash_left_without_its_digest_gets_it_when_it_is_confirmed(
    tmp_path: Path, hashes: tuple[str, ...]
) -> None:
    async def act(store: FsStore) -> None:
        await store.create(info_of(hashes), DATA[:10])
        await crash(store, DATA[10:])

    async def look(store: FsStore) -> None:
        found = await store.load(ID)
        assert (found.info.complete, found.info.digests) == (True, ())
        await store.confirm(found)
        assert (await store.load(ID)).info.digests == digests_of(DATA, hashes)

    play(tmp_path, act, look)


def test_an_upload_that_comes_in_one_piece_is_hashed_or_was_hashed_before(tmp_path: Path) -> None:
    given = (Checksum("sha256", b"\1" * 32),)

    async def act(store: FsStore) -> None:
        await store.create(info_of(offset=Offset(SIZE)), DATA)
        assert (await store.load(ID)).info.digests == digests_of(DATA, BOTH)
        other = info_of(("sha256",), id=UploadId("b" * 32), offset=Offset(SIZE), digests=given)
        await store.create(other, DATA)
        assert (await store.load(other.id)).info.digests == given, "nobody has hashed it again"

    play(tmp_path, act)


def test_what_is_put_together_is_hashed_as_it_is(tmp_path: Path) -> None:
    async def act(store: FsStore) -> None:
        parts = []
        for name, data in (("b", DATA[:700]), ("c", DATA[700:])):
            part = UploadInfo(
                id=UploadId(name * 32),
                offset=Offset(len(data)),
                length=len(data),
                concat=Concat.PARTIAL,
            )
            await store.create(part, data)
            parts.append(await store.load(part.id))
        info = info_of(offset=Offset(SIZE), concat=Concat.FINAL)
        assert (await store.concatenate(info, parts)).digests == digests_of(DATA, BOTH)
        assert (await store.load(ID)).info.digests == digests_of(DATA, BOTH)

    play(tmp_path, act)


@EACH
@given(noise=st.binary(max_size=600), at=st.integers(0, 600))
def test_noise_in_the_slot_is_as_if_nothing_were_there(
    tmp_path_factory: pytest.TempPathFactory, hashes: tuple[str, ...], noise: bytes, at: int
) -> None:
    root = tmp_path_factory.mktemp("noise")
    path = root / f"{ID}.info"

    async def act(store: FsStore) -> None:
        await store.create(info_of(hashes), DATA[:300])

    play(root, act)
    slot = parse_info(path.read_bytes(), ID).slot
    assert slot is not None
    start = min(at, LARGEST)
    with path.open("r+b") as file:
        file.seek(slot.at + start)
        file.write(noise[: LARGEST - start])
    play(root, finish)


def test_all_states_of_an_upload_are_one_entry_of_what_was_parsed() -> None:
    info = info_of(id=UploadId("cache"))
    states = [Running.begun(BOTH, DATA[:at]).value() for at in range(3)]
    contents = [render_info(info, state) for state in states]
    parse_info(contents[0], UploadId("cache"))
    before = _parse_known.cache_info()
    for each in contents:
        assert parse_info(each, UploadId("cache")).info == info
    assert _parse_known.cache_info().misses == before.misses


def test_the_largest_value_has_both_states_and_the_largest_count() -> None:
    value = Running.begun(HASHES).value()
    assert len(value.replace(b'"at":0', b'"at":%d' % (2**63 - 1))) == LARGEST
