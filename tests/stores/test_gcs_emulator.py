"""A second opinion: gcp-storage-emulator, which others wrote, for what it does as Google does.

It keeps no preconditions and verifies no checksums of sessions; that is for the fake.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.errors import RemoteRefusedError, SessionLostError
from fileloft_fast.stores.remote.objects import Attributes, Objects
from tests.deadline import eventually
from tests.ports import free_port
from tests.stores.gcs_visit import GRANULE, play
from tests.stores.pieces import PLAIN, RICH, Source, complete, crc32c_of, fresh_key, read, upload

if TYPE_CHECKING:
    from pathlib import Path

BUCKET: Final = "tusbucket"
PART: Final = 2 * GRANULE


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of an emulator with one bucket."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--quiet", "--in-memory"]
    command += ["--host=127.0.0.1", f"--port={port}", f"--default-bucket={BUCKET}"]
    directory: Path = tmp_path_factory.mktemp("emulator")
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory)
    try:
        eventually(lambda: answers(f"{url}/storage/v1/b/{BUCKET}"), within_s=60)
        yield url
    finally:
        process.kill()
        process.wait()


def test_an_object_is_put_looked_at_fetched_and_deleted(emulator: str) -> None:
    async def scene(objects: Objects) -> None:
        key = f"a b/{fresh_key()}"
        put = await objects.put(key, b"12345", RICH)
        head = await objects.head(key)
        assert head == put
        assert (put.key, put.size, put.metadata) == (key, 5, RICH.metadata)
        assert put.crc32c == crc32c_of(b"12345")
        found = await objects.fetch(key)
        assert found is not None
        assert found[0] == b"12345"
        await objects.delete(key)
        await objects.delete(key)
        assert await objects.head(key) is None
        assert await objects.fetch(key) is None

    play(emulator, scene)


@pytest.mark.parametrize("size", [1, PART, PART + 1, 3 * PART + 1234])
def test_chunks_make_exactly_their_bytes(emulator: str, source: Source, size: int) -> None:
    content = source.fill(size)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        head = await upload(objects, key, source, Attributes(content_type="video/mp4"))
        assert (head.size, head.crc32c) == (size, crc32c_of(content))
        assert await read(objects, key, 0, size) == content
        assert await read(objects, key, size // 2, 1) == content[size // 2 :][:1]

    play(emulator, scene)


def test_another_process_asks_where_to_go_on(emulator: str, source: Source) -> None:
    content = source.fill(2 * PART + 99)
    key = fresh_key()

    async def begin(objects: Objects) -> str:
        session = await objects.create(key, PLAIN)
        await objects.put_part(key, session, 1, 0, source.piece(0, PART))
        return session

    session = play(emulator, begin)

    async def go_on(objects: Objects) -> None:
        assert [one.size for one in await objects.list_parts(key, session)] == [PART]
        # The first half is there: it is left out.
        receipt = await objects.put_part(key, session, 1, 0, source.piece(0, 2 * PART))
        await complete(objects, key, session, [receipt], source)
        assert await read(objects, key, 0, len(content)) == content

    play(emulator, go_on)


def test_a_session_that_nobody_knows_is_lost(emulator: str, source: Source) -> None:
    source.fill(PART)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        session = f"{await objects.create(key, PLAIN)}-unknown"
        with pytest.raises(SessionLostError):
            await objects.put_part(key, session, 1, 0, source.piece(0, PART))
        await objects.abort(key, session)

    play(emulator, scene)


def test_damaged_bytes_are_refused(emulator: str, source: Source) -> None:
    source.fill(10)

    async def scene(objects: Objects) -> None:
        key = fresh_key()
        piece = source.piece(0, 10)
        source.fill(10, "others")
        with pytest.raises(RemoteRefusedError, match="CRC32C"):
            await objects.put(key, piece, PLAIN)
        assert await objects.head(key) is None

    play(emulator, scene)


def test_keys_are_listed_and_objects_joined(emulator: str) -> None:
    async def scene(objects: Objects) -> None:
        prefix = fresh_key()
        contents = [b"%d," % number for number in range(40)]
        sources = [
            await objects.put(f"{prefix}/{number:02}", content, PLAIN)
            for number, content in enumerate(contents)
        ]
        joined = f"{prefix}.joined"
        assert (await objects.join(joined, sources, RICH)).metadata == RICH.metadata
        assert await read(objects, joined, 0, 110) == b"".join(contents)
        listed = [key async for key in objects.list_keys(prefix)]
        assert sorted(listed) == sorted([joined, *(source.key for source in sources)])

    play(emulator, scene)


def test_anybody_gets_the_plain_address(emulator: str) -> None:
    key = fresh_key()

    async def scene(objects: Objects) -> str:
        await objects.put(key, b"12345", PLAIN)
        return await objects.sign(key, 60)

    with urllib.request.urlopen(play(emulator, scene), timeout=10) as answer:
        assert answer.read() == b"12345"
