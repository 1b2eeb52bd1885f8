"""The spool before a slow store: how much disk it takes, who waits, and how fast it empties."""

from __future__ import annotations

import functools
import hashlib
import random
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.server import Server
from tests.stores.clouds import Cloud, Clouds, key_of
from tests.stores.faulty import Asked, Faulty, How, is_completion, is_part

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wire import Answer, Wire

pytestmark = pytest.mark.e2e

MIB: Final = 1024 * 1024
PART: Final = 5 * MIB
BYTES: Final = random.Random("spool").randbytes(60 * MIB)
PATIENCE_S: Final = 60.0
MARGIN: Final = 3 * PART + MIB
"""Above FILELOFT_SPOOL_MAX: the part that arrives, and some that have left and are still there."""


@dataclass(slots=True)
class Disk:
    """The disk that a spool takes, looked at now and then."""

    spool: Path
    most: int = 0

    def look(self) -> int:
        """Return what it takes now."""
        taken = 0
        for file in self.spool.rglob("*"):
            with suppress(FileNotFoundError):  # gone while we look
                taken += file.stat().st_blocks * 512
        self.most = max(self.most, taken)
        return taken

    def holds(self, key: str) -> int:
        """Return how far the data of an upload reaches; 0 where there is none yet."""
        return max((file.stat().st_size for file in self.spool.rglob(key)), default=0)

    def watch(self, running: Future[Answer]) -> Answer:
        """Look until *running* is over, and return what came of it."""

        def over() -> bool:
            self.look()
            return running.done()

        eventually(over, within_s=PATIENCE_S)
        return running.result()


class Scene:
    """A store, a way to it that can be slow, and a server before both."""

    def __init__(self, cloud: Cloud, way: Faulty, server: Server) -> None:
        self.cloud = cloud
        self.way = way
        self.server = server
        self.tus = Endpoint(server)
        self.disk = Disk(server.data)

    def append(self, upload: str, content: bytes) -> Answer:
        """PATCH all of *content* as fast as the server takes it."""
        with self.tus.connect(PATIENCE_S) as wire:
            return wire.ask(self.tus.render_append(upload, 0, content))

    def has(self, upload: str, content: bytes) -> bool:
        """Whether the object is *content*."""
        return self.cloud.sha256(upload) == hashlib.sha256(content).hexdigest()

    def assert_ships(self, upload: str, content: bytes) -> None:
        """Assert that the object comes to be *content*, and the spool empty."""
        eventually(lambda: self.has(upload, content), within_s=PATIENCE_S, every_s=0.2)
        eventually(lambda: self.disk.look() < MIB, within_s=PATIENCE_S)

    def idle(self, sent: int, ending: ExitStack) -> tuple[str, Wire]:
        """Return an upload whose client has stopped in the middle of its body."""
        upload = self.tus.create(3 * PART)
        wire = ending.enter_context(self.tus.connect(PATIENCE_S))
        head = self.tus.render_append(upload, 0, b"", {"Content-Length": str(3 * PART)})
        wire.send(head + BYTES[:sent])
        eventually(lambda: self.disk.holds(key_of(upload)) == sent, within_s=PATIENCE_S)
        return upload, wire


@contextmanager
def serving(cloud: Cloud, spool: Path, mode: str, **settings: str) -> Iterator[Scene]:
    """Run a server before *cloud*."""
    own = {f"FILELOFT_{name}": value for name, value in settings.items()}
    shared = {"FILELOFT_ACK": mode, "FILELOFT_PART_SIZE": str(PART)}
    with (
        Faulty(cloud.url) as way,
        Server(spool, {**cloud.through(way.url), **shared, **own}) as server,
    ):
        yield Scene(cloud, way, server)


def sends_bytes(asked: Asked) -> bool:
    """Whether bytes of an upload are in the request."""
    return is_part(asked) or (is_completion(asked) and asked.method == "PUT")


def slow(asked: Asked) -> How | None:
    return How.SLOW if sends_bytes(asked) else None


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    with Clouds(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as running:
        yield running


@pytest.mark.parametrize("name", ["s3", "gcs"])
def test_a_fast_client_before_a_slow_store_takes_a_few_parts_of_disk(
    name: str, clouds: Clouds, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    with serving(clouds[name], tmp_path, "finish") as scene:
        scene.way.slow_bytes_per_s = (30 if name == "gcs" else 10) * MIB
        scene.way.script = slow
        upload = scene.tus.create(len(BYTES))
        answer = scene.disk.watch(pool.submit(scene.append, upload, BYTES))
        assert answer.status == 204, answer
        assert scene.disk.most > 2 * PART, "the client was not faster than the store"
        assert scene.disk.most < 4 * PART
        assert scene.has(upload, BYTES)
        scene.assert_ships(upload, BYTES)


def test_a_full_spool_slows_its_client_and_refuses_nothing(
    clouds: Clouds, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    limits = {"SPOOL_MAX": str(4 * PART), "FLUSH_CONCURRENCY": "1"}
    with serving(clouds["s3"], tmp_path, "spool", **limits) as scene:
        scene.way.slow_bytes_per_s = 10 * MIB
        scene.way.script = slow
        upload = scene.tus.create(len(BYTES))
        answer = scene.disk.watch(pool.submit(scene.append, upload, BYTES))
        assert answer.status == 204, answer
        assert not scene.cloud.sha256(upload), "the store was not slower"
        assert scene.disk.most > 3 * PART, "the spool was never full"
        assert scene.disk.most < 4 * PART + MARGIN
        scene.way.script = lambda _: None
        scene.assert_ships(upload, BYTES)


def test_a_full_spool_waits_for_a_store_that_is_away(
    clouds: Clouds, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    content = BYTES[: 8 * PART]
    limits = {"SPOOL_MAX": str(2 * PART), "FLUSH_CONCURRENCY": "1"}
    with serving(clouds["s3"], tmp_path, "spool", **limits) as scene:
        upload = scene.tus.create(len(content))
        scene.way.down = True
        sending = pool.submit(scene.append, upload, content)
        eventually(lambda: scene.disk.look() >= 2 * PART, within_s=PATIENCE_S)
        assert not sending.done()
        scene.way.down = False
        answer = scene.disk.watch(sending)
        assert answer.status == 204, answer
        assert scene.disk.most < 2 * PART + MARGIN
        scene.assert_ships(upload, content)


@pytest.mark.parametrize("name", ["s3", "gcs"])
def test_the_rate_to_the_store_is_kept_and_shared(
    name: str, clouds: Clouds, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    rate, each = 12 * MIB, 4 * PART
    order: list[str] = []

    def note(asked: Asked) -> None:
        if sends_bytes(asked):
            order.append(find_key(asked.target))

    with serving(clouds[name], tmp_path, "finish", FLUSH_RATE=str(rate)) as scene:
        if name != "gcs":  # where a session's address does not tell its upload
            scene.way.script = note
        uploads = [scene.tus.create(each) for _ in range(2)]
        sending = [pool.submit(scene.append, upload, BYTES[:each]) for upload in uploads]
        measured = measure(lambda: scene.way.passed_up, MIB, 28 * MIB)
        assert [one.result(PATIENCE_S).status for one in sending] == [204, 204]
        assert 0.7 * rate < measured < 1.3 * rate
        for upload in uploads:
            assert scene.has(upload, BYTES[:each])
        if name != "gcs":
            assert_both_progressed(order, [key_of(upload) for upload in uploads])


def find_key(target: str) -> str:
    found = re.search(r"/([0-9a-f]{32})\?", target)
    assert found, target
    return found[1]


def measure(count: Callable[[], int], start: int, size: int) -> float:
    """Return how many a second came to *count*, from *start* on for *size*."""
    eventually(lambda: count() >= start, within_s=PATIENCE_S)
    begun, first = time.monotonic(), count()
    eventually(lambda: count() >= first + size, within_s=PATIENCE_S)
    return (count() - first) / (time.monotonic() - begun)


def assert_both_progressed(order: list[str], keys: list[str]) -> None:
    """Assert that nobody was finished before the other was half way."""
    for one, other in (keys, keys[::-1]):
        last = max(at for at, key in enumerate(order) if key == one)
        assert order[:last].count(other) >= order.count(other) // 2, order


@pytest.mark.parametrize("mode", ["finish", "spool", "chunk"])
def test_clients_that_stopped_half_way_hold_nobody_else_up(
    mode: str, clouds: Clouds, tmp_path: Path
) -> None:
    content = BYTES[: 2 * PART + 99]
    with serving(clouds["s3"], tmp_path, mode, SPOOL_MAX="1M") as scene, ExitStack() as ending:
        stops = [PART // 2, PART - 1, PART + PART // 2]
        idle = [(sent, *scene.idle(sent, ending)) for sent in stops]
        upload = scene.tus.create(len(content))
        answer = scene.append(upload, content)
        assert answer.status == 204, answer
        eventually(lambda: scene.has(upload, content), within_s=PATIENCE_S, every_s=0.2)
        for sent, path, wire in idle:
            wire.send(BYTES[sent : 3 * PART])
            assert wire.read().status == 204
            whole = functools.partial(scene.has, path, BYTES[: 3 * PART])
            eventually(whole, within_s=PATIENCE_S, every_s=0.2)
