"""Rounds of SIGKILL under load: what the server had acknowledged is there, and nothing else shows.

A round starts the server, lets clients of every kind upload until a number of bytes was sent, kills
it in the middle, starts it again on the same directory, judges every upload, and finishes each. Of
several workers one is killed before that, alone.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.sender import INTERRUPTIONS, VERIFIED, Kind, Sender
from tests.server import Server, workers_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MIB: Final = 1024 * 1024
_PATIENCE_S: Final = 60.0


@dataclass(slots=True)
class Round:
    """What one round saw."""

    uploads: int = 0
    complete: int = 0
    """Uploads that were complete when the server was killed."""
    sent_bytes: int = 0
    acknowledged_bytes: int = 0
    faults: list[str] = field(default_factory=list)


class Client:
    """One client that makes upload after upload of one kind until the server is gone.

    A *liar* sends, beside honest chunks, chunks that do not fit their checksum.
    """

    def __init__(self, seed: str, load: Load, kind: Kind, *, liar: bool = False) -> None:
        self.senders: list[Sender] = []
        self.fault = ""
        self._dice = random.Random(seed)
        self._load = load
        self._kind = kind
        self._liar = liar
        self._thread = threading.Thread(target=self._run, name=seed)
        self._thread.start()

    def join(self) -> None:
        """Wait until the client has seen that the server is gone."""
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive(), "a client still waits for a server that was killed"

    def _run(self) -> None:
        try:
            with suppress(*INTERRUPTIONS):
                while True:
                    self._upload()
        except AssertionError as breach:
            self.fault = f"{self._kind.value}, before the kill: {breach!r}"
        finally:
            for sender in self.senders:
                sender.close()

    def _upload(self) -> None:
        size = self._dice.randrange(1, self._largest())
        start = self._dice.randrange(len(self._load.block) - size)
        content = self._load.block[start : start + size]
        sender = self._load.speaker(
            self._load.address, content, self._kind, chunk=MIB, on_sent=self._load.count
        )
        self.senders.append(sender)
        sender.create()
        while not sender.complete:
            if self._liar:
                sender.send(truthful=False)
            sender.send()
        sender.close()

    def _largest(self) -> int:
        """Return a bound of the size: small and large uploads, most of them in between."""
        if self._kind is Kind.CREATION and not self._load.speaker.named_early:
            return self._dice.choice([100, 5_000, 300_000])
        return self._dice.choice([MIB, 4 * MIB, 24 * MIB])


class Load:
    """Clients at work on a server, and how much they have sent."""

    def __init__(
        self,
        address: tuple[str, int],
        block: bytes,
        seed: str,
        clients: int,
        speaker: type[Sender] = Sender,
    ) -> None:
        self.address = address
        self.block = block
        self.speaker = speaker
        self.sent_bytes = 0
        self._changed = threading.Condition()
        kinds = [(kind, False) for kind in speaker.kinds]
        kinds += [(kind, True) for kind in speaker.kinds if kind in VERIFIED]
        self.clients = [
            Client(f"{seed} {at}", self, kinds[at % len(kinds)][0], liar=kinds[at % len(kinds)][1])
            for at in range(clients)
        ]

    def count(self, sent: int) -> None:
        """Take note of *sent* bytes more."""
        with self._changed:
            self.sent_bytes += sent
            self._changed.notify_all()

    def wait_for(self, sent_bytes: int) -> None:
        """Wait until so many bytes were sent in all."""
        with self._changed:
            came = self._changed.wait_for(lambda: self.sent_bytes >= sent_bytes, _PATIENCE_S)
        assert came, f"{self.sent_bytes} of {sent_bytes} bytes within {_PATIENCE_S} s"

    def join(self) -> None:
        """Wait for every client."""
        for client in self.clients:
            client.join()


def run_round(
    data: Path,
    seed: str,
    clients: int,
    settings: Mapping[str, str],
    speaker: type[Sender] = Sender,
) -> Round:
    """Run one round in the directory *data* and return what it saw; *speaker*: by tus, or not."""
    dice = random.Random(seed)
    block = dice.randbytes(32 * MIB)
    victim = Server(data, settings)
    if settings.get("FILELOFT_WORKERS", "1") != "1":
        victim.wait_for_log("msg=serving")
    load = Load(victim.address, block, seed, clients, speaker)
    kill_at = dice.randrange(8 * MIB, 96 * MIB)
    try:
        if workers := workers_of(victim.pid):
            load.wait_for(kill_at // 2)
            os.kill(dice.choice(workers), signal.SIGKILL)
        load.wait_for(kill_at)
    finally:
        kill_all(victim)
        load.join()
    seen = Round(sent_bytes=load.sent_bytes)
    seen.faults += [client.fault for client in load.clients if client.fault]
    with Server(data, settings) as server:
        for client in load.clients:
            for sender in client.senders:
                judge(sender, server, data, seen)
    return seen


def kill_all(victim: Server) -> None:
    """Kill a server and its workers; the main process first, so that none of them is replaced."""
    workers = workers_of(victim.pid)
    victim.kill()
    for pid in workers:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def judge(sender: Sender, server: Server, data: Path, seen: Round) -> None:
    """Compare what *server* has of an upload with what *sender* was told, then finish it.

    An upload whose creation was never answered is not known to its client, so nothing was promised.
    """
    if not sender.path:
        return
    seen.uploads += 1
    complete = sender.complete
    seen.complete += complete
    seen.acknowledged_bytes += sender.acknowledged
    promised = sender.acknowledged
    stored = data / sender.path.rsplit("/", 1)[1]
    sender.address = server.address
    try:
        offset = sender.look()
        assert offset >= promised, f"{promised} acknowledged, {offset} there"
        assert sender.complete or not complete, "complete, and after the kill it is not"
        kept = stored.read_bytes()[:offset]
        assert kept == sender.content[:offset], "bytes differ after the kill"
        sender.finish(interruptions=0)
        assert stored.read_bytes() == sender.content, "bytes differ after completion"
    except AssertionError as breach:
        seen.faults.append(f"{sender.kind.value} {sender.path}: {breach!r}")
    finally:
        sender.close()
