"""SIGTERM under load: running uploads keep their bytes and go on with the next process (T079)."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tests.deadline import eventually
from tests.proxy import Course, Fate, Proxy
from tests.resumer import Resumer
from tests.sender import INTERRUPTIONS, VERIFIED, Sender
from tests.server import Server

if TYPE_CHECKING:
    from pathlib import Path

MIB: Final = 1024 * 1024
DRAIN_S: Final = 2
SLOW: Final = Fate(up=Course(piece=16_384, pause_s=0.02))


def test_uploads_of_every_kind_go_on_after_a_restart(tmp_path: Path) -> None:
    """By both protocols at once."""
    settings = {"FILELOFT_SHUTDOWN_TIMEOUT": str(DRAIN_S)}
    server = Server(tmp_path, settings)
    with Proxy(server.address, otherwise=SLOW) as proxy:
        senders = [
            speaker(proxy.address, random.Random(str(kind)).randbytes(16 * MIB), kind)
            for speaker in (Sender, Resumer)
            for kind in speaker.kinds
        ]
        statuses: list[int] = []
        threads = [
            threading.Thread(target=send_until_it_ends, args=(sender, statuses))
            for sender in senders
        ]
        for thread in threads:
            thread.start()
        eventually(lambda: proxy.passed_up > 10 * MIB)
        start = time.monotonic()
        server.terminate()
        assert server.wait() == 0
        assert time.monotonic() - start < DRAIN_S + 10  # half of what they would need
        server.assert_clean_log()
        for thread in threads:
            thread.join()
    assert set(statuses) <= {201, 204, 503}
    with Server(tmp_path, settings) as heir:
        for sender in senders:
            sender.address = heir.address
            if sender.path:
                offset = sender.look()
                assert heir.data.joinpath(sender.path.rsplit("/", 1)[1]).stat().st_size >= offset
                assert offset > 0 or sender.kind in VERIFIED
            sender.finish()
            stored = heir.data / sender.path.rsplit("/", 1)[1]
            assert stored.read_bytes() == sender.content


def send_until_it_ends(sender: Sender, statuses: list[int]) -> None:
    with suppress(*INTERRUPTIONS):
        sender.create()
        while not sender.complete:
            statuses.append(sender.send().status)
    sender.close()
