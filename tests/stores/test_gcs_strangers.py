"""Answers that are not Google's: a proxy that does not find it knows nothing of an object."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import uvloop

from fileloft_fast.errors import ObjectNotFoundError, RemoteUnavailableError, SessionLostError
from fileloft_fast.stores.remote.gcs import GcsObjects
from tests.stores.gcs_fake import GcsFake
from tests.stores.gcs_fake.account import google_environment, write_account, write_key
from tests.stores.gcs_visit import PART, begun, finish
from tests.stores.pieces import PLAIN, Source, read

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.stores.remote.objects import Objects


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def running(home: Path) -> Iterator[GcsFake]:
    key = write_key(home / "key.pem")
    with GcsFake(home / "gcs", key=str(key), auth=True) as fake:
        write_account(home / "account.json", key, fake.url)
        yield fake


@pytest.fixture
def fake(running: GcsFake) -> GcsFake:
    running.heal()
    return running


def play(fake: GcsFake, home: Path, scene: Callable[[Objects], Awaitable[None]]) -> None:
    """Run *scene* with a driver that has credentials, as with the real store."""

    async def played() -> None:
        objects = GcsObjects(bucket=fake.bucket, endpoint=fake.url)
        account = str(home / "account.json")
        with google_environment(home, GOOGLE_APPLICATION_CREDENTIALS=account):
            await objects.start()
        try:
            await scene(objects)
        finally:
            await objects.close()

    uvloop.run(played())


@pytest.mark.parametrize("status", [404, 410, 499])
def test_a_session_is_not_lost_because_a_proxy_does_not_find_it(
    fake: GcsFake, home: Path, source: Source, status: int
) -> None:
    content = source.fill(PART + 10)

    async def scene(objects: Objects) -> None:
        key, session, part = await begun(objects, source)
        for operation in ("part", "status", "last", "abort"):
            fake.fail(operation, "proxy", status=status)
        with pytest.raises(RemoteUnavailableError):
            await objects.put_part(key, session, 1, 0, part)
        with pytest.raises(RemoteUnavailableError):
            await objects.list_parts(key, session)
        await objects.put_part(key, session, 1, 0, part)
        with pytest.raises(RemoteUnavailableError):
            await finish(objects, key, session, source)
        with pytest.raises(RemoteUnavailableError):
            await objects.abort(key, session)
        await finish(objects, key, session, source)
        assert await read(objects, key, 0, len(content)) == content

    play(fake, home, scene)


def test_an_object_is_not_missing_because_a_proxy_does_not_find_it(
    fake: GcsFake, home: Path
) -> None:
    async def scene(objects: Objects) -> None:
        await objects.put("key", b"12345", PLAIN)
        for operation in ("head", "delete"):
            fake.fail(operation, "proxy", status=404)
        fake.fail("get", "proxy", status=404, times=6)
        with pytest.raises(RemoteUnavailableError, match="not by Google"):
            await objects.head("key")
        with pytest.raises(RemoteUnavailableError, match="not by Google"):
            await objects.fetch("key")
        with pytest.raises(RemoteUnavailableError, match="not by Google"):
            await objects.delete("key")
        with pytest.raises(RemoteUnavailableError, match="not by Google"):
            await read(objects, "key", 0, 5)
        assert await read(objects, "key", 0, 5) == b"12345"

    play(fake, home, scene)


def test_what_google_itself_does_not_find_is_not_there(
    fake: GcsFake, home: Path, source: Source
) -> None:
    source.fill(PART + 10)

    async def scene(objects: Objects) -> None:
        assert await objects.head("nothing") is None
        assert await objects.fetch("nothing") is None
        await objects.delete("nothing")
        with pytest.raises(ObjectNotFoundError):
            await read(objects, "nothing", 0, 5)
        key, session, part = await begun(objects, source)
        fake.forget_sessions()
        with pytest.raises(SessionLostError):
            await objects.put_part(key, session, 1, 0, part)
        with pytest.raises(SessionLostError):
            await objects.list_parts(key, session)

    play(fake, home, scene)
