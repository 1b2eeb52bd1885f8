"""Resumable sessions that are gone, cancelled, or nobody's, and those that outlive their store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pytest

from fileloft_fast.errors import RemoteUnavailableError, SessionLostError
from tests.stores.faulty import Faulty, How, every
from tests.stores.gcs_fake import GcsFake
from tests.stores.gcs_visit import PART, begun, finish, play
from tests.stores.pieces import PLAIN, Source, crc32c_of, fresh_key, read

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.stores.remote.objects import Objects

T = TypeVar("T")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsFake]:
    with GcsFake(tmp_path_factory.mktemp("gcs")) as fake:
        yield fake


@pytest.fixture
def fake(running: GcsFake) -> GcsFake:
    running.heal()
    return running


@pytest.mark.parametrize("status", [404, 410, 499])
def test_a_session_that_is_gone_is_lost_whatever_google_calls_it(
    fake: GcsFake, source: Source, status: int
) -> None:
    source.fill(PART + 10)

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        for operation in ("part", "status", "last"):
            fake.fail(operation, status=status)
        with pytest.raises(SessionLostError):
            await objects.put_part(key, session, 1, 0, part)
        with pytest.raises(SessionLostError):
            await objects.list_parts(key, session)
        await objects.put_part(key, session, 1, 0, part)
        with pytest.raises(SessionLostError):
            await finish(objects, key, session, source)

    play(fake.url, scene)


def test_after_a_week_a_session_is_gone(fake: GcsFake, source: Source) -> None:
    source.fill(PART + 10)

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        fake.forget_sessions()
        with pytest.raises(SessionLostError):
            await objects.put_part(key, session, 1, 0, part)
        with pytest.raises(SessionLostError):
            await objects.list_parts(key, session)
        await objects.abort(key, session)

    play(fake.url, scene)


def test_an_abort_cancels_the_session_and_may_be_repeated(fake: GcsFake, source: Source) -> None:
    source.fill(PART)
    fake.forget_sessions()

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        await objects.put_part(key, session, 1, 0, part)
        await objects.abort(key, session)
        assert fake.sessions == ["cancelled"]
        await objects.abort(key, session)
        fake.fail("abort", status=503)
        with pytest.raises(RemoteUnavailableError):
            await objects.abort(key, session)

    play(fake.url, scene)


@pytest.mark.parametrize(
    "session", ["", "https://elsewhere/upload/x", "@elsewhere/upload/x", "/storage/v1/b/x/o/y"]
)
def test_what_is_not_the_name_of_a_session_is_never_asked(fake: GcsFake, session: str) -> None:
    async def scene(objects: Objects) -> None:
        with pytest.raises(SessionLostError):
            await objects.abort("key", session)
        with pytest.raises(SessionLostError):
            await objects.list_parts("key", session)

    play(fake.url, scene)
    assert fake.asked == []


@pytest.mark.parametrize("how", [How.BUSY, How.CUT, How.LOST])
@pytest.mark.parametrize("number", [3, 5])
def test_an_upload_over_a_faulty_way_arrives_whole(
    fake: GcsFake, source: Source, number: int, how: How
) -> None:
    content = source.fill(8 * PART + 77)

    async def insist(ask: Callable[[], Awaitable[T]]) -> T:
        for _ in range(20):
            with suppress(RemoteUnavailableError):
                return await ask()
        raise AssertionError("twenty times in vain")

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        session = await insist(partial(objects.create, key, PLAIN))
        for at in range(8):
            piece = source.piece(at * PART, PART)
            await insist(partial(objects.put_part, key, session, at + 1, piece.start, piece))
        head = await insist(partial(finish, objects, key, session, source))
        assert head.crc32c == crc32c_of(content)
        assert await read(objects, key, 0, len(content)) == content

    with Faulty(fake.url, every(number, how)) as faulty:
        play(faulty.url, scene)
        assert faulty.seen[how] > 1


def test_a_session_outlives_the_store_and_its_address(tmp_path: Path, source: Source) -> None:
    content = source.fill(2 * PART + 3)
    with GcsFake(tmp_path / "gcs") as fake:

        async def begin(objects: Objects) -> tuple[str, str]:
            key, session, part = await begun(objects, source)
            await objects.put_part(key, session, 1, 0, part)
            fake.kill()
            with pytest.raises(RemoteUnavailableError):
                await objects.put_part(key, session, 2, PART, source.piece(PART, PART))
            return key, session

        key, session = play(fake.url, begin)

    async def go_on(objects: Objects) -> None:
        await objects.put_part(key, session, 2, PART, source.piece(PART, PART))
        await finish(objects, key, session, source)
        assert await read(objects, key, 0, len(content)) == content

    with GcsFake(tmp_path / "gcs") as elsewhere:
        play(elsewhere.url, go_on)
