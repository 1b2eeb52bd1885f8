"""The way to the store fails in every way it can; uploads arrive whole, and clients hear of none.

Each store, each mode. A fault that did not happen proves nothing, so each test asks for it too.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.sender import INTERRUPTIONS, Kind, Sender
from tests.server import Server
from tests.stores.clouds import Cloud, Clouds, key_of
from tests.stores.faulty import (
    Asked,
    Faulty,
    How,
    at_times,
    first,
    is_completion,
    is_part,
    is_put,
    is_record,
    is_tail,
)
from tests.stores.shop import PARTS, SHOPS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stores.faulty import Script

pytestmark = pytest.mark.e2e

MIB: Final = 1024 * 1024
SETTINGS: Final = {
    "FILELOFT_FLUSH_TIMEOUT": "10",
    "FILELOFT_ORPHAN_AGE": "1",
    "FILELOFT_REMOTE_SWEEP_INTERVAL": "1",
}
BYTES: Final = random.Random("faulty").randbytes(3 * max(PARTS.values()))


@dataclass(frozen=True, slots=True)
class Way:
    """A server that reaches *cloud* through *proxy* alone."""

    cloud: Cloud
    proxy: Faulty
    server: Server

    @property
    def mode(self) -> str:
        """What FILELOFT_ACK is."""
        return self.server.settings["FILELOFT_ACK"]

    @property
    def part(self) -> int:
        """What FILELOFT_PART_SIZE is."""
        return int(self.server.settings["FILELOFT_PART_SIZE"])

    @property
    def large(self) -> bytes:
        """What takes three parts, the last one smaller."""
        return BYTES[: 2 * self.part + 12_345]

    @property
    def small(self) -> bytes:
        """What fits one part."""
        return BYTES[: self.part // 3]

    @property
    def backend(self) -> str:
        """What FILELOFT_BACKEND is."""
        return self.server.settings["FILELOFT_BACKEND"]

    def send(self, content: bytes, kind: Kind) -> str:
        """Upload *content* as a client that tries again does; return the upload's path.

        The client fails the test where an answer is neither a success nor to be tried again.
        """
        sender = Sender(self.server.address, content, kind, chunk=self.part // 2)
        sender.finish(interruptions=30)
        return sender.path

    def assert_arrived(self, upload: str, content: bytes, *, unheard: bool = False) -> None:
        """Assert that the object is *content*, and that nothing else is left of the upload.

        *unheard*: a session may have begun whose name nobody heard, which is the sweeper's.
        """
        wanted = hashlib.sha256(content).hexdigest()
        if self.mode == "spool":
            eventually(lambda: self.cloud.sha256(upload) == wanted, every_s=0.1)
        assert self.cloud.sha256(upload) == wanted, "acknowledged, and not in the store"
        key = key_of(upload)
        eventually(
            lambda: sorted(k for k in self.all_keys() if key in k) == [key, f"{key}.info"],
            every_s=0.1,
        )
        eventually(lambda: self._record(key)["fast"]["state"] == "stored")
        self.assert_no_session(key, unheard=unheard)
        eventually(lambda: not list(self.server.data.rglob(f"{key}*")))

    def assert_no_session(self, key: str, *, unheard: bool) -> None:
        """Assert that none is open, be it by the sweeper, or where Google ends it after a week."""
        if unheard and self.backend == "gcs":
            return
        eventually(lambda: key not in self.cloud.sessions(), within_s=60 if unheard else 0)

    def all_keys(self) -> list[str]:
        """Return every key in the bucket."""
        return self.cloud.keys()

    def _record(self, key: str) -> Mapping[str, Mapping[str, str]]:
        kept = self.cloud.look(f"{key}.info")
        assert kept is not None
        record: Mapping[str, Mapping[str, str]] = json.loads(kept.content)
        return record


@contextmanager
def open_way(cloud: Cloud, spool: Path, **settings: str) -> Iterator[Way]:
    own = {f"FILELOFT_{name}": value for name, value in settings.items()}
    part = PARTS[cloud.settings["FILELOFT_BACKEND"]]
    own["FILELOFT_PART_SIZE"] = str(part)
    with (
        Faulty(cloud.url) as proxy,
        Server(spool, {**cloud.through(proxy.url), **SETTINGS, **own}) as server,
    ):
        yield Way(cloud, proxy, server)


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    with Clouds(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module", params=SHOPS)
def shared_way(
    request: pytest.FixtureRequest, clouds: Clouds, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Way]:
    name, mode = request.param.split()
    with open_way(clouds[name], tmp_path_factory.mktemp("spool"), ACK=mode) as opened:
        yield opened


@pytest.fixture
def way(shared_way: Way) -> Iterator[Way]:
    shared_way.proxy.heal()
    yield shared_way
    shared_way.proxy.heal()


def count(kinds: Mapping[str, object], seen: Counter[str]) -> Script:
    """Return a script that lets everything pass, and counts what is what."""

    def script(asked: Asked) -> None:
        for name, kind in kinds.items():
            assert callable(kind)
            seen[name] += bool(kind(asked))

    return script


def test_nothing_is_sent_twice_where_nothing_fails(way: Way) -> None:
    seen: Counter[str] = Counter()
    kinds = {"part": is_part, "completion": is_completion, "put": is_put, "record": is_record}
    way.proxy.script = count(kinds, seen)
    way.assert_arrived(way.send(way.large, Kind.PLAIN), way.large)
    parts = 2 if way.backend == "gcs" else 3  # there the last one completes
    assert (seen["part"], seen["completion"], seen["put"]) == (parts, 1, 0)
    assert seen["record"] >= 2
    assert way.proxy.passed_up < len(way.large) + 64 * 1024
    seen.clear()
    way.assert_arrived(way.send(way.small, Kind.PLAIN), way.small)
    assert (seen["part"], seen["completion"], seen["put"]) == (0, 0, 1)


def test_a_busy_store_is_asked_again(way: Way) -> None:
    way.proxy.script = at_times(How.BUSY)
    for content in (way.large, way.small):
        way.assert_arrived(way.send(content, Kind.CHUNKED), content, unheard=True)
    assert way.proxy.seen[How.BUSY] >= 1


def test_parts_that_are_cut_off_in_their_middle_are_sent_again(way: Way) -> None:
    way.proxy.script = at_times(How.CUT, is_part)
    way.assert_arrived(way.send(way.large, Kind.CREATION), way.large)
    assert way.proxy.seen[How.CUT] >= 1


def test_parts_whose_answers_are_lost_count_once(way: Way) -> None:
    way.proxy.script = at_times(How.LOST, is_part)
    way.assert_arrived(way.send(way.large, Kind.PLAIN), way.large)
    assert way.proxy.seen[How.LOST] >= 1


@pytest.mark.parametrize("how", [How.LOST, How.BUSY, How.CUT])
def test_a_completion_that_fails_makes_one_object(way: Way, how: How) -> None:
    way.proxy.script = first(how, is_completion, times=2)
    way.assert_arrived(way.send(way.large, Kind.CHUNKED), way.large)
    assert way.proxy.seen[how] >= 1


@pytest.mark.parametrize("how", [How.LOST, How.BUSY, How.CUT])
def test_a_small_object_whose_put_fails_is_put_once(way: Way, how: How) -> None:
    way.proxy.script = first(how, is_put, times=2)
    way.assert_arrived(way.send(way.small, Kind.PLAIN), way.small)
    assert way.proxy.seen[how] >= 1


def test_records_whose_answers_are_lost_are_still_ours(way: Way) -> None:
    way.proxy.script = at_times(How.LOST, is_record)
    for kind in (Kind.CHECKED, Kind.CREATION):
        content = way.large
        way.assert_arrived(way.send(content, kind), content, unheard=True)
    assert way.proxy.seen[How.LOST] >= 1


@pytest.mark.parametrize("kind", [Kind.TRAILER, Kind.CHUNKED])
def test_everything_fails_now_and_then(way: Way, kind: Kind) -> None:
    dice = random.Random(f"{way.mode} {kind}")
    ways = [How.BUSY, How.CUT, How.LOST]

    def script(_: Asked) -> How | None:
        return dice.choice(ways) if dice.random() < 0.3 else None

    way.proxy.script = script
    for content in (way.large, way.small):
        way.assert_arrived(way.send(content, kind), content, unheard=True)
    assert sum(way.proxy.seen.values()) >= 1


def test_tails_whose_puts_fail_are_neither_lost_nor_left(way: Way) -> None:
    way.proxy.script = at_times(How.LOST, is_tail)
    way.assert_arrived(way.send(way.large, Kind.CHECKED), way.large)
    assert bool(way.proxy.seen[How.LOST]) == (way.mode == "chunk")


def test_an_upload_that_is_removed_under_failures_leaves_nothing(way: Way) -> None:
    way.proxy.script = at_times(How.LOST, lambda asked: asked.method != "GET")
    sender = Sender(way.server.address, way.large, Kind.CHECKED, chunk=way.part // 2)
    while sender.acknowledged < way.part:
        try:
            sender.look() if sender.path else sender.create()
            sender.send()
        except INTERRUPTIONS:
            sender.close()
    sender.close()
    way.proxy.heal()
    key = key_of(sender.path)
    assert Endpoint(way.server).ask("DELETE", sender.path).status == 204
    eventually(lambda: not [k for k in way.all_keys() if key in k], every_s=0.1)
    way.assert_no_session(key, unheard=True)


def test_a_session_whose_name_was_never_heard_is_swept(way: Way) -> None:
    def begins(asked: Asked) -> bool:
        resumable = "uploadType=resumable" in asked.target
        return asked.method == "POST" and (resumable or asked.target.endswith("?uploads"))

    way.proxy.script = first(How.LOST, begins)
    way.assert_arrived(way.send(way.large, Kind.PLAIN), way.large, unheard=True)
    blocks = way.backend == "azure"  # they need no beginning
    assert way.proxy.seen[How.LOST] == (0 if blocks else 1)
