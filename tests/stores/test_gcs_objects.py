"""Google Cloud Storage beyond the contract: refusals, broken downloads, joins, the fake's terms."""

from __future__ import annotations

import asyncio
import gzip
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest
import uvloop

from fileloft_fast.errors import (
    CannotJoinError,
    ConditionFailedError,
    ObjectNotFoundError,
    RemoteRefusedError,
    RemoteUnavailableError,
    StoreError,
)
from fileloft_fast.stores.remote.objects import ABSENT, Attributes, ObjectHead, Objects, Piece
from tests.stores.gcs_fake import GcsFake
from tests.stores.gcs_visit import GRANULE, PART, connected, play
from tests.stores.pieces import PLAIN, RICH, Source, fresh_key, read, upload

if TYPE_CHECKING:
    from pathlib import Path

Call = Callable[[Objects, Piece], Coroutine[Any, Any, object]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsFake]:
    with GcsFake(tmp_path_factory.mktemp("gcs"), page=5) as fake:
        yield fake


@pytest.fixture
def fake(running: GcsFake, monkeypatch: pytest.MonkeyPatch) -> GcsFake:
    monkeypatch.setattr("fileloft_fast.stores.remote.answers._FIRST_PAUSE_S", 0.001)
    running.heal()
    return running


def got(url: str) -> bytes:
    """Return what anybody gets at *url*."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


async def listed(objects: Objects) -> list[str]:
    return [key async for key in objects.list_keys("")]


CALLS: Final[dict[str, Call]] = {
    "create": lambda objects, _: objects.create("key", PLAIN),
    "put": lambda objects, piece: objects.put("key", piece, PLAIN),
    "head": lambda objects, _: objects.head("key"),
    "fetch": lambda objects, _: objects.fetch("key"),
    "get": lambda objects, _: read(objects, "key", 0, 1),
    "delete": lambda objects, _: objects.delete("key"),
    "list": lambda objects, _: listed(objects),
    "compose": lambda objects, _: objects.join(
        "key", [ObjectHead(key="a", size=1, tag="1")], PLAIN
    ),
}


# -- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLS)
def test_a_bucket_that_is_not_there_is_the_operators_matter(
    fake: GcsFake, source: Source, name: str
) -> None:
    source.fill(10)

    async def scene() -> None:
        async with connected(fake.url, "another") as objects:
            with pytest.raises(RemoteRefusedError, match="404 The specified bucket"):
                await CALLS[name](objects, source.piece(0, 10))

    uvloop.run(scene())


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RemoteRefusedError),
        (401, RemoteRefusedError),
        (403, RemoteRefusedError),
        (408, RemoteUnavailableError),
        (429, RemoteUnavailableError),
        (500, RemoteUnavailableError),
        (503, RemoteUnavailableError),
    ],
)
def test_every_call_says_who_has_to_act(
    fake: GcsFake, source: Source, name: str, status: int, error: type[StoreError]
) -> None:
    source.fill(10)
    fake.fail("get" if name == "fetch" else name, status=status, times=9)

    async def scene(objects: Objects) -> None:
        with pytest.raises(error, match=f"{status} as a test wants it"):
            await CALLS[name](objects, source.piece(0, 10))

    play(fake.url, scene)


@pytest.mark.parametrize("name", ["create", "put", "head", "list"])
def test_an_answer_that_was_lost_is_no_success(fake: GcsFake, source: Source, name: str) -> None:
    source.fill(10)
    fake.fail(name, "lose", times=2)  # aiohttp repeats by itself what may be repeated, once

    async def scene(objects: Objects) -> None:
        with pytest.raises(RemoteUnavailableError):
            await CALLS[name](objects, source.piece(0, 10))

    play(fake.url, scene)


def test_a_store_that_is_down_stops_no_start_and_is_unavailable(
    tmp_path: Path, source: Source
) -> None:
    source.fill(10)
    with GcsFake(tmp_path) as fake:
        fake.kill()

        async def scene(objects: Objects) -> None:
            for call in CALLS.values():
                with pytest.raises(RemoteUnavailableError):
                    await call(objects, source.piece(0, 10))
            fake.restart()
            await objects.put("key", b"1", PLAIN)
            assert await listed(objects) == ["key"]

        play(fake.url, scene)


def test_a_page_that_is_not_googles_is_no_success(fake: GcsFake) -> None:
    async def scene(objects: Objects) -> None:
        await objects.put("key", b"<html>", PLAIN)
        client = objects._client  # type: ignore[attr-defined]
        client.endpoint = f"{fake.url}/download"  # whose answers are objects
        objects._path = lambda _: "/storage/v1/b/tusbucket/o/key?alt=media"  # type: ignore[attr-defined]
        with pytest.raises(RemoteUnavailableError, match="not Google's"):
            await objects.head("key")

    play(fake.url, scene)


@pytest.mark.parametrize("name", ["localhost:{port}", "http://127.0.0.1:{port}/"])
def test_an_endpoint_may_lack_its_scheme_or_have_a_slash(fake: GcsFake, name: str) -> None:
    async def scene(objects: Objects) -> None:
        await objects.put("key", b"1", PLAIN)
        assert (await objects.sign("key", 5)).startswith("http://")

    play(name.format(port=fake.url.rpartition(":")[2]), scene)


@pytest.mark.parametrize(("bypassed", "found"), [("", True), ("storage.invalid", False)])
def test_a_proxy_of_the_environment_is_the_way_to_the_store(
    fake: GcsFake, bypassed: str, *, found: bool
) -> None:
    async def use(objects: Objects) -> None:
        head = await objects.put("key", b"1", PLAIN)
        assert await objects.fetch("key") == (b"1", head.tag)

    async def scene(objects: Objects) -> None:
        if found:
            await use(objects)
        else:
            with pytest.raises(RemoteUnavailableError):
                await use(objects)

    with mock.patch.dict("os.environ", {"http_proxy": fake.url, "no_proxy": bypassed}):
        play("http://storage.invalid", scene)


# -- reading ------------------------------------------------------------------------------------


def test_a_download_goes_on_where_its_connection_broke(fake: GcsFake, source: Source) -> None:
    content = source.fill(2_000_000)
    for size in (100_000, 1, 0, 500_000, 0, 0, 0, 300_000):
        fake.fail("get", "cut", size=size)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        await objects.put(key, source.piece(0, 2_000_000), PLAIN)
        assert await read(objects, key, 1000, 1_998_000) == content[1000:1_999_000]

    play(fake.url, scene)


def test_a_download_gives_up_where_nothing_comes(fake: GcsFake, source: Source) -> None:
    content = source.fill(200_000)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        await objects.put(key, source.piece(0, 200_000), PLAIN)
        fake.fail("get", "cut", size=65_536)
        fake.fail("get", status=503, times=100)
        async with aclosing(objects.get(key, 0, 200_000)) as pieces:
            assert await anext(pieces) == content[:65_536]
            with pytest.raises(RemoteUnavailableError):
                await anext(pieces)

    play(fake.url, scene)
    assert fake.asked.count("get") < 12


def test_a_download_never_mixes_two_versions(fake: GcsFake, source: Source) -> None:
    content = source.fill(200_000)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        await objects.put(key, source.piece(0, 200_000), PLAIN)
        fake.fail("get", "cut", size=65_536)
        async with aclosing(objects.get(key, 0, 200_000)) as pieces:
            assert await anext(pieces) == content[:65_536]
            await objects.put(key, bytes(200_000), PLAIN)
            with pytest.raises(ObjectNotFoundError):
                await anext(pieces)

    play(fake.url, scene)


def test_bytes_that_are_not_there_are_not_passed_over(fake: GcsFake) -> None:
    async def scene(objects: Objects) -> None:
        await objects.put("short", b"12345", PLAIN)
        for start, length in ((0, 6), (5, 1), (9, 2)):
            with pytest.raises(RemoteRefusedError):
                await read(objects, "short", start, length)

    play(fake.url, scene)


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br"])
def test_what_was_stored_packed_is_read_packed(fake: GcsFake, encoding: str) -> None:
    packed = gzip.compress(bytes(100_000))

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        head = await objects.put(key, packed, Attributes(encoding=encoding))
        assert await read(objects, key, 0, len(packed)) == packed
        assert await objects.fetch(key) == (packed, head.tag)

    play(fake.url, scene)


def test_a_slow_reader_holds_nobody_up(fake: GcsFake, source: Source) -> None:
    source.fill(5_000_000)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        await objects.put(key, source.piece(0, 5_000_000), PLAIN)
        async with aclosing(objects.get(key, 0, 5_000_000)) as slow:
            await anext(slow)
            for _ in range(5):
                assert await objects.head(key) is not None

    play(fake.url, scene)


# -- writing ------------------------------------------------------------------------------------


class Meter:
    """A pace that lets everything pass, and counts it."""

    def __init__(self) -> None:
        self.bytes = 0

    async def take(self, size: int) -> None:
        self.bytes += size


def test_every_byte_of_an_object_is_paced(fake: GcsFake, source: Source) -> None:
    source.fill(5 * GRANULE + 1)

    async def scene() -> None:
        meter = Meter()
        async with connected(fake.url, pace=meter) as objects:
            await upload(objects, fresh_key(), source)
            assert meter.bytes == 5 * GRANULE + 1
            await objects.put(fresh_key(), source.piece(0, 1000), PLAIN)
            assert meter.bytes == 5 * GRANULE + 1001

    uvloop.run(scene())


def test_a_spool_that_cannot_be_read_is_not_the_networks_fault(
    fake: GcsFake, source: Source
) -> None:
    source.fill(PART)

    async def scene(objects: Objects) -> None:
        session = await objects.create("key", PLAIN)
        beyond = Piece(source.descriptor, GRANULE, PART, 0)
        for call in (
            objects.put("key", beyond, PLAIN),
            objects.put_part("key", session, 1, 0, beyond),
        ):
            with pytest.raises(StoreError, match="spool") as failed:
                await call
            assert not failed.value.retryable

    play(fake.url, scene)


def test_a_key_may_hold_anything_that_a_path_does_not(fake: GcsFake) -> None:
    async def scene(objects: Objects) -> None:
        fake.wipe()
        keys = sorted(["a/b c", "a?b=c&d", "ä%2F#", "a//b", "a+b", "~x", ".well-known/x"])
        for key in keys:
            head = await objects.put(key, key.encode(), PLAIN, ABSENT)
            assert head.key == key
            assert await objects.fetch(key) == (key.encode(), head.tag)
        assert await listed(objects) == keys
        for key in keys:
            assert await asyncio.to_thread(got, await objects.sign(key, 60)) == key.encode()
            await objects.delete(key)
        assert await listed(objects) == []

    play(fake.url, scene)


# -- joining ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 32, 33, 70])
def test_a_join_takes_any_number_and_leaves_only_the_object(fake: GcsFake, count: int) -> None:
    async def scene(objects: Objects) -> None:
        fake.wipe()
        contents = [b"%d," % number for number in range(count)]
        sources = [
            await objects.put(f"source-{number:02}", content, PLAIN)
            for number, content in enumerate(contents)
        ]
        fake.heal()
        head = await objects.join("joined", sources, RICH)
        assert head.metadata == RICH.metadata
        assert fake.asked.count("compose") == (1 if count <= 32 else -(-count // 32) + 1)
        assert await objects.fetch("joined") == (b"".join(contents), head.tag)
        assert sorted(fake.keys()) == sorted(["joined", *(source.key for source in sources)])

    play(fake.url, scene)


def test_a_join_that_fails_leaves_nothing(fake: GcsFake) -> None:
    async def scene(objects: Objects) -> None:
        fake.wipe()
        source = await objects.put("source", b"1", PLAIN)
        await objects.put("joined", b"other", PLAIN)
        with pytest.raises(ConditionFailedError):
            await objects.join("joined", [source] * 40, PLAIN)
        gone = ObjectHead(key="source", size=1, tag="1")
        for sources in ([gone], [source] * 32 + [gone]):
            with pytest.raises(ObjectNotFoundError):
                await objects.join("new", sources, PLAIN)
        assert sorted(fake.keys()) == ["joined", "source"]

    play(fake.url, scene)


def test_what_stays_between_is_told_and_undoes_no_join(
    fake: GcsFake, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(objects: Objects) -> None:
        fake.wipe()
        source = await objects.put("source", b"1", PLAIN)
        fake.fail("delete", status=403, times=10)
        assert (await objects.join("joined", [source] * 40, PLAIN)).size == 40
        assert "joined.join-" in " ".join(fake.keys())

    play(fake.url, scene)
    assert "left behind" in caplog.text


def test_what_cannot_be_joined_goes_through_the_spool(fake: GcsFake) -> None:
    async def scene(objects: Objects) -> None:
        huge = ObjectHead(key="a", size=5 * 1024**4, tag="1")
        for sources in ([], [huge, ObjectHead(key="b", size=1, tag="1")]):
            with pytest.raises(CannotJoinError):
                await objects.join("joined", sources, PLAIN)
        fake.fail("compose", status=501)
        with pytest.raises(CannotJoinError):
            await objects.join("joined", [ObjectHead(key="b", size=1, tag="1")], PLAIN)

    play(fake.url, scene)
