"""Two servers, two spools, one bucket (``FILELOFT_ACK=chunk``): one dies, the other goes on."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest

from tests.deadline import eventually
from tests.sender import INTERRUPTIONS, Kind, Sender
from tests.server import Server
from tests.stores.clouds import CLOUDS, Clouds, key_of
from tests.wire import Wire, render_request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stores.clouds import Cloud

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MIB: Final = 1024 * 1024
_SETTINGS: Final = {
    "FILELOFT_ACK": "chunk",
    "FILELOFT_PART_SIZE": "5M",
    "FILELOFT_ENABLE_DOWNLOAD": "1",
}


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    with Clouds(tmp_path_factory) as running:
        yield running


@pytest.fixture(params=sorted(CLOUDS))
def cloud(request: pytest.FixtureRequest, clouds: Clouds) -> Cloud:
    return clouds[request.param]


def test_a_replica_dies_in_the_middle_and_another_one_goes_on(cloud: Cloud, tmp_path: Path) -> None:
    content = random.Random("replicas").randbytes(17 * MIB + 12_345)
    settings = {**cloud.settings, **_SETTINGS}
    one, two = Server(tmp_path / "a", settings), Server(tmp_path / "b", settings)
    try:
        sender = Sender(one.address, content, Kind.CHECKED, chunk=MIB // 2)
        sender.create()
        for turn in range(6):
            sender.close()
            sender.address = (one, two)[turn % 2].address
            assert sender.look() == turn * MIB // 2
            sender.send()
        dying = Sender(one.address, content, Kind.PLAIN, on_sent=lambda _: None)
        dying.adopt(sender)
        dying.acknowledged = sender.acknowledged
        die_after(dying, one, 9 * MIB)
        sender.close()
        sender.address = two.address
        assert sender.look() == 3 * MIB  # the sender asserts that nothing it was told is missing
        shutil.rmtree(tmp_path / "a")
        sender.send()
        with Server(tmp_path / "a", settings) as again:
            sender.close()
            sender.address = again.address
            sender.kind = Kind.PLAIN
            assert sender.look() == 7 * MIB // 2
            sender.finish()
            assert download(again, sender.path) == hashlib.sha256(content).hexdigest()
        assert download(two, sender.path) == hashlib.sha256(content).hexdigest()
        assert cloud.sha256(sender.path) == hashlib.sha256(content).hexdigest()
        key = key_of(sender.path)
        left = {key, f"{key}.info"}
        eventually(lambda: {name for name in cloud.keys() if name.startswith(key)} == left)  # noqa: SIM118
        assert two.stop() == 0
        two.assert_clean_log()
    finally:
        one.kill()
        two.kill()


def die_after(sender: Sender, server: Server, sent: int) -> None:
    """Send until *server* is killed, which happens when *sent* bytes of the request have left."""
    left = sent

    def on_sent(size: int) -> None:
        nonlocal left
        left -= size
        if left <= 0 and server.running:
            server.kill()

    sender._on_sent = on_sent
    with suppress(*INTERRUPTIONS):
        sender.send()
    sender.close()
    assert not server.running


def download(server: Server, path: str) -> str:
    """Return the digest of what a GET answers."""
    wire = Wire(server.address)
    with wire.socket:
        wire.send(render_request("GET", path, {}))
        answer = wire.read()
    assert answer.status == 200
    return hashlib.sha256(answer.body).hexdigest()
