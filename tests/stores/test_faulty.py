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
from tests.sender import Kind, Sender
from tests.server import Server
from tests.stores.clouds import CLOUDS, Cloud, key_of
from tests.stores.crash import sweep
from tests.stores.faulty import (
    Asked,
    Faulty,
    How,
    each,
    every,
    first,
    is_completion,
    is_part,
    is_put,
    is_record,
    is_tail,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stores.faulty import Script

pytestmark = pytest.mark.e2e

MIB: Final = 1024 * 1024
PART: Final = 5 * MIB
SETTINGS: Final = {
    "FILELOFT_PART_SIZE": str(PART),
    "FILELOFT_FLUSH_TIMEOUT": "10",
    "FILELOFT_ORPHAN_AGE": "0",
}
LARGE: Final = random.Random("faulty").randbytes(3 * PART + 1234)
SMALL: Final = LARGE[: MIB + 7]


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

    def send(self, content: bytes, kind: Kind, chunk: int = MIB) -> str:
        """Upload *content* as a client that tries again does; return the upload's path.

        The client fails the test where an answer is neither a success nor to be tried again.
        """
        sender = Sender(self.server.address, content, kind, chunk=chunk)
        sender.finish(interruptions=20)
        return sender.path

    def assert_arrived(self, upload: str, content: bytes) -> None:
        """Assert that the object is *content*, and that nothing else is left of the upload."""
        wanted = hashlib.sha256(content).hexdigest()
        if self.mode == "spool":
            eventually(lambda: self.cloud.sha256(upload) == wanted, within_s=30, every_s=0.1)
        assert self.cloud.sha256(upload) == wanted, "acknowledged, and not in the store"
        key = key_of(upload)
        eventually(
            lambda: sorted(k for k in self.cloud.keys() if key in k) == [key, f"{key}.info"],
            within_s=30,
            every_s=0.1,
        )
        eventually(lambda: self._record(key)["fast"]["state"] == "stored", within_s=30)
        assert key not in self.cloud.sessions()
        eventually(lambda: not list(self.server.data.rglob(f"{key}*")), within_s=30)

    def _record(self, key: str) -> Mapping[str, Mapping[str, str]]:
        kept = self.cloud.look(f"{key}.info")
        assert kept is not None
        record: Mapping[str, Mapping[str, str]] = json.loads(kept.content)
        return record


@contextmanager
def open_way(cloud: Cloud, spool: Path, **settings: str) -> Iterator[Way]:
    own = {f"FILELOFT_{name}": value for name, value in settings.items()}
    with (
        Faulty(cloud.url) as proxy,
        Server(spool, {**cloud.through(proxy.url), **SETTINGS, **own}) as server,
    ):
        yield Way(cloud, proxy, server)


@pytest.fixture(scope="module", params=sorted(CLOUDS))
def cloud(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    with CLOUDS[request.param](tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture(scope="module", params=["finish", "chunk", "spool"])
def shared_way(
    request: pytest.FixtureRequest, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Way]:
    with open_way(cloud, tmp_path_factory.mktemp("spool"), ACK=request.param) as opened:
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
    way.assert_arrived(way.send(LARGE, Kind.PLAIN), LARGE)
    sequential = "gcs" in way.server.settings["FILELOFT_BACKEND"]
    assert (seen["part"], seen["completion"], seen["put"]) == (3 if sequential else 4, 1, 0)
    assert seen["record"] >= 2
    assert way.proxy.passed_up < len(LARGE) + 64 * 1024
    seen.clear()
    way.assert_arrived(way.send(SMALL, Kind.PLAIN), SMALL)
    assert (seen["part"], seen["completion"], seen["put"]) == (0, 0, 1)


@pytest.mark.parametrize("kind", [Kind.PLAIN, Kind.CHUNKED])
def test_a_busy_store_is_asked_again(way: Way, kind: Kind) -> None:
    way.proxy.script = every(3, How.BUSY)
    for content in (LARGE, SMALL):
        way.assert_arrived(way.send(content, kind), content)
    assert way.proxy.seen[How.BUSY] >= 3


def test_parts_that_are_cut_off_in_their_middle_are_sent_again(way: Way) -> None:
    way.proxy.script = each(How.CUT, is_part)
    way.assert_arrived(way.send(LARGE, Kind.CREATION), LARGE)
    assert way.proxy.seen[How.CUT] >= 3


def test_parts_whose_answers_are_lost_count_once(way: Way) -> None:
    way.proxy.script = each(How.LOST, is_part)
    way.assert_arrived(way.send(LARGE, Kind.PLAIN), LARGE)
    assert way.proxy.seen[How.LOST] >= 3


@pytest.mark.parametrize("how", [How.LOST, How.BUSY, How.CUT])
def test_a_completion_that_fails_makes_one_object(way: Way, how: How) -> None:
    way.proxy.script = first(how, is_completion, times=2)
    way.assert_arrived(way.send(LARGE, Kind.CHUNKED), LARGE)
    assert way.proxy.seen[how] >= 1


@pytest.mark.parametrize("how", [How.LOST, How.BUSY, How.CUT])
def test_a_small_object_whose_put_fails_is_put_once(way: Way, how: How) -> None:
    way.proxy.script = first(how, is_put, times=2)
    way.assert_arrived(way.send(SMALL, Kind.PLAIN), SMALL)
    assert way.proxy.seen[how] >= 1


def test_records_whose_answers_are_lost_are_still_ours(way: Way) -> None:
    way.proxy.script = every(2, How.LOST, is_record)
    for kind in (Kind.CHECKED, Kind.CREATION):
        content = LARGE[: 6 * MIB + 99]
        way.assert_arrived(way.send(content, kind), content)
    assert way.proxy.seen[How.LOST] >= 2


def test_a_slow_store_is_not_a_failing_one(way: Way) -> None:
    seen: Counter[str] = Counter()
    counting = count({"part": is_part, "completion": is_completion}, seen)
    way.proxy.slow_bytes_per_s = 8 * MIB
    slow = every(1, How.SLOW, lambda asked: is_part(asked) or is_completion(asked))

    def script(asked: Asked) -> How | None:
        counting(asked)
        return slow(asked)

    way.proxy.script = script
    way.assert_arrived(way.send(LARGE, Kind.PLAIN), LARGE)
    assert seen["part"] + seen["completion"] <= 5
    assert way.proxy.seen[How.SLOW] >= 4


@pytest.mark.parametrize("kind", [Kind.TRAILER, Kind.CHUNKED])
def test_everything_fails_now_and_then(way: Way, kind: Kind) -> None:
    dice = random.Random(f"{way.mode} {kind}")
    ways = [How.BUSY, How.CUT, How.LOST]

    def script(asked: Asked) -> How | None:
        how = dice.choice(ways) if dice.random() < 0.2 else None
        return how if how is not How.CUT or asked.size else None

    way.proxy.script = script
    for content in (LARGE, SMALL):
        way.assert_arrived(way.send(content, kind, 2 * MIB), content)
    assert sum(way.proxy.seen.values()) >= 2


def test_tails_whose_puts_fail_are_neither_lost_nor_left(cloud: Cloud, tmp_path: Path) -> None:
    with open_way(cloud, tmp_path / "spool", ACK="chunk") as way:
        way.proxy.script = each(How.LOST, is_tail)
        content = LARGE[: 7 * MIB + 3]
        way.assert_arrived(way.send(content, Kind.CHECKED, MIB + 5), content)
        assert way.proxy.seen[How.LOST] >= 3


def test_an_upload_that_fails_and_is_removed_leaves_nothing(way: Way) -> None:
    way.proxy.script = every(2, How.LOST, lambda asked: asked.method in {"POST", "PUT"})
    sender = Sender(way.server.address, LARGE, Kind.CHECKED, chunk=3 * MIB)
    while sender.acknowledged < 2 * PART:
        sender.look() if sender.path else sender.create()
        sender.send()
    sender.close()
    way.proxy.heal()
    assert Endpoint(way.server).ask("DELETE", sender.path).status == 204
    key = key_of(sender.path)
    eventually(lambda: not [k for k in way.cloud.keys() if key in k], within_s=20, every_s=0.1)
    eventually(lambda: key not in way.cloud.sessions(), within_s=20, every_s=0.1)


@pytest.mark.parametrize("mode", ["finish", "chunk"])
def test_a_session_whose_name_was_never_heard_is_swept(
    mode: str, cloud: Cloud, tmp_path: Path
) -> None:
    def begins(asked: Asked) -> bool:
        return asked.method == "POST" and (
            "?uploads" in asked.target or "resumable" in asked.target
        )

    with open_way(cloud, tmp_path / "spool", ACK=mode) as way:
        way.proxy.script = first(How.LOST, begins)
        way.assert_arrived(way.send(LARGE, Kind.PLAIN), LARGE)
        lost = way.proxy.seen[How.LOST]
        settings = {**way.server.settings, **cloud.settings}
    assert lost == (0 if "azure" in settings["FILELOFT_BACKEND"] else 1)
    if "s3" in settings["FILELOFT_BACKEND"]:
        assert not sweep(tmp_path / "spool", settings, cloud)
