"""Rounds of SIGKILL with an object store behind the server: what its mode promises is kept.

A round starts the server, lets clients of every kind upload, kills the server or the store in the
middle, starts it again, finishes every upload, and compares the objects. A sweep comes last, after
which no multipart upload may be open.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.adversity.crash import MIB, Load, Round
from tests.deadline import eventually
from tests.sender import INTERRUPTIONS, Sender
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.stores.clouds import Cloud

_PATIENCE_S: Final = 60.0


def run_round(  # noqa: PLR0917 - what a round is made of
    spool: Path, cloud: Cloud, mode: str, victim: str, seed: str, clients: int
) -> Round:
    """Run one round in which *victim*, ``server`` or ``store``, is killed; return what it saw."""
    dice = random.Random(seed)
    block = dice.randbytes(32 * MIB)
    settings = {
        **cloud.settings,
        "FILELOFT_ACK": mode,
        "FILELOFT_PART_SIZE": "5M",
        "FILELOFT_FLUSH_TIMEOUT": "20",
        "FILELOFT_ORPHAN_AGE": "0",
    }
    server = Server(spool, settings)
    load = Load(server.address, block, seed, clients)
    try:
        load.wait_for(dice.randrange(8 * MIB, 64 * MIB))
    finally:
        if victim == "store":
            cloud.kill()
        server.kill()
        load.join()
    if victim == "store":
        cloud.restart()
    elif mode == "chunk" and dice.random() < 0.5:
        shutil.rmtree(spool)  # a replica is lost with its disk
    seen = Round(sent_bytes=load.sent_bytes)
    seen.faults += [client.fault for client in load.clients if client.fault]
    with Server(spool, settings) as again:
        for client in load.clients:
            for sender in client.senders:
                judge(sender, again, cloud, seen)
    seen.faults += sweep(spool, settings, cloud)
    return seen


def judge(sender: Sender, server: Server, cloud: Cloud, seen: Round) -> None:
    """Compare what *server* says of an upload with what *sender* was told, then finish it."""
    if not sender.path:
        return
    seen.uploads += 1
    seen.complete += sender.complete
    seen.acknowledged_bytes += sender.acknowledged
    sender.address = server.address
    promised = sender.acknowledged
    try:
        eventually(lambda: is_known(sender), within_s=_PATIENCE_S)
        offset = sender.acknowledged
        assert offset >= promised, f"{promised} acknowledged, {offset} there"
        sender.finish(interruptions=20)
        wanted = hashlib.sha256(sender.content).hexdigest()
        eventually(lambda: cloud.sha256(sender.path) == wanted, within_s=_PATIENCE_S, every_s=0.2)
    except AssertionError as breach:
        seen.faults.append(f"{sender.kind.value} {sender.path}: {breach!r}")
    finally:
        sender.close()


def is_known(sender: Sender) -> bool:
    """Whether the server tells the offset; it may ask to be tried again."""
    try:
        sender.look()
    except INTERRUPTIONS:
        sender.close()
        return False
    return True


def sweep(spool: Path, settings: Mapping[str, str], cloud: Cloud) -> list[str]:
    """Sweep with the server stopped, and return what is wrong afterwards."""
    ended = subprocess.run(
        [sys.executable, "-m", "fileloft_fast", "sweep"],
        env={"PATH": "/usr/bin:/bin", **settings, "FILELOFT_DATA_DIR": str(spool)},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    faults = [f"open after a sweep: {session}" for session in cloud.sessions()]
    if ended.returncode:
        faults.append(f"sweep ended with {ended.returncode}: {ended.stdout} {ended.stderr}")
    return faults
