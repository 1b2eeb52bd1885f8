"""Many uploads through replicas that share a bucket and their locks, cut and moved at random."""

from __future__ import annotations

import hashlib
import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.deadline import eventually
from tests.proxy import Course, End, Fate, Proxy
from tests.sender import INTERRUPTIONS, Kind, Sender

if TYPE_CHECKING:
    from tests.server import Server
    from tests.stores.clouds import Cloud

MIB: Final = 1024 * 1024
_PATIENCE_S: Final = 120.0
_KINDS: Final = (Kind.PLAIN, Kind.CHUNKED, Kind.CREATION, Kind.CHECKED)


@dataclass(slots=True)
class Outcome:
    """What the uploads went through."""

    uploads: int = 0
    interruptions: int = 0
    moves: int = 0
    faults: list[str] = field(default_factory=list)


class Traveller(threading.Thread):
    """Uploads files one after the other, over connections that break, and changes the replica."""

    def __init__(self, proxies: list[Proxy], seed: str, count: int) -> None:
        super().__init__(name=seed)
        self.done: list[Sender] = []
        self.moves = 0
        self.fault = ""
        self._proxies = proxies
        self._dice = random.Random(seed)
        self._count = count

    def run(self) -> None:
        try:
            for _ in range(self._count):
                self.done.append(self._upload())
        except AssertionError as breach:
            self.fault = f"{self.name}: {breach!r}"

    def _upload(self) -> Sender:
        size = self._dice.choice([70_000, MIB, 6 * MIB, 14 * MIB])
        content = self._dice.randbytes(self._dice.randrange(1, size))
        kind = self._dice.choice(_KINDS)
        sender = Sender(self._dice.choice(self._proxies).address, content, kind, chunk=MIB)
        while not sender.complete:
            try:
                if sender.path:
                    sender.look()
                else:
                    sender.create()
                while not sender.complete:
                    sender.send()
                    if self._dice.random() < 0.3:
                        self._move(sender)
            except INTERRUPTIONS:
                sender.interruptions += 1
                assert sender.interruptions < 200, "interrupted too often"
                self._move(sender)
        sender.close()
        return sender

    def _move(self, sender: Sender) -> None:
        """Go on at any replica, by a new connection."""
        sender.close()
        to = self._dice.choice(self._proxies).address
        self.moves += to != sender.address
        sender.address = to


def fates(seed: str, count: int) -> list[Fate]:
    """Return what connections go through: half of them end somewhere, one way or the other."""
    dice = random.Random(seed)
    found: list[Fate] = []
    for _ in range(count):
        end = dice.choice([End.RESET, End.CLOSE])
        after = int(200 * (40_000 ** dice.random()))  # 200 bytes to 8 MB, as many of each magnitude
        cut = Fate(up=Course(after=after, end=end))
        found.append(cut if dice.random() < 0.7 else Fate())
    return found


def travel(replicas: list[Server], cloud: Cloud, seed: str, uploads: int, at_once: int) -> Outcome:
    """Make *uploads* through *replicas*, *at_once* at a time, and compare every object."""
    outcome = Outcome()
    proxies = [
        Proxy(server.address, *fates(f"{seed} {at}", uploads * 3))
        for at, server in enumerate(replicas)
    ]
    try:
        crowd = [Traveller(proxies, f"{seed} {at}", uploads // at_once) for at in range(at_once)]
        for traveller in crowd:
            traveller.start()
        for traveller in crowd:
            traveller.join()
    finally:
        for proxy in proxies:
            proxy.close()
    for traveller in crowd:
        outcome.moves += traveller.moves
        outcome.faults += [traveller.fault] if traveller.fault else []
        for sender in traveller.done:
            outcome.uploads += 1
            outcome.interruptions += sender.interruptions
            wanted = hashlib.sha256(sender.content).hexdigest()
            try:
                eventually(lambda: cloud.sha256(sender.path) == wanted, within_s=_PATIENCE_S)  # noqa: B023
            except AssertionError as breach:
                outcome.faults.append(f"{sender.path}: {breach!r}")
    return outcome
