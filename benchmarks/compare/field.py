"""The field: who takes part, in the order of the tables' columns."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import peers
from benchmarks.compare.bars import DURABLE, OURS, TWO
from benchmarks.compare.commands import Command, running
from benchmarks.compare.contenders import EVERYTHING, Contender, TusServer
from benchmarks.compare.limits import plan_limits
from benchmarks.compare.nginx import plan_nginx
from benchmarks.compare.record import Server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from benchmarks.compare.named import Named
    from benchmarks.peers import Peer

INSTALLED: Final = Path("build/compare").absolute()
PINNED: Final = Path(__file__).parent / "peers"
DURABLE_TWO: Final = f"{DURABLE}, 2 workers"
HOLDING: Final = frozenset({"resume", "slow"})
"""Where nothing is finished, nothing is synced: both modes are the same there."""


def plan_field(named: Sequence[Named]) -> list[Contender]:
    """Return all that take part. Raises NotStartedError where nginx is not installed."""
    return [
        *(_ours(name, sync, workers) for name, sync, workers in _MODES),
        plan_nginx(),
        _tus_node_server(),
        _tuspyserver(),
        *(_named(server) for server in named),
        *plan_limits(),
    ]


_MODES: Final = (
    (DURABLE, "complete", 1),
    (DURABLE_TWO, "complete", 2),
    (OURS, "none", 1),
    (TWO, "none", 2),
)


def _ours(name: str, sync: str, workers: int) -> TusServer:
    settings = {
        "FILELOFT_SYNC": sync,
        "FILELOFT_WORKERS": str(workers),
        "FILELOFT_ENABLE_DOWNLOAD": "1",
    }

    def launch(folder: Path) -> AbstractContextManager[Peer]:
        return peers.ours(folder / "data", settings)

    durable = sync != "none"
    return TusServer(
        Server(
            name=name,
            version=version("fileloft-fast"),
            sync="yes" if durable else "no",
            checksum="yes",
        ),
        launch,
        works=EVERYTHING if durable else EVERYTHING - HOLDING,
    )


def _tus_node_server() -> TusServer:
    folder = INSTALLED / "tus-node-server"
    packages = json.loads((PINNED / "package.json").read_text(encoding="utf-8"))
    command = Command(
        words=["node", str(folder / "tus_node_server.mjs"), "{port}", "{directory}"],
        environment={"NODE_ENV": "production"},
    )
    return _by_command(
        Server(
            name="@tus/server",
            version=packages["dependencies"]["@tus/server"],
            sync="no",
            checksum="no",
        ),
        command,
    )


def _tuspyserver() -> TusServer:
    pins = (PINNED / "requirements.txt").read_text(encoding="utf-8")
    found = re.search(r"^tuspyserver==(\S+)", pins, re.MULTILINE)
    assert found is not None, "requirements.txt pins tuspyserver"
    words = [INSTALLED / "tuspyserver/bin/python", PINNED / "tuspyserver_app.py"]
    return _by_command(
        Server(name="tuspyserver", version=found[1], sync="its info file", checksum="no"),
        Command(words=[*map(str, words), "{port}", "{directory}"]),
    )


def _named(named: Named) -> TusServer:
    server = Server(
        name=named.name, version=named.version, sync=named.sync, checksum=named.checksum
    )
    return _by_command(server, named.as_command(), named.path)


def _by_command(server: Server, command: Command, path: str = "/files/") -> TusServer:
    def launch(folder: Path) -> AbstractContextManager[Peer]:
        return running(command, folder)

    return TusServer(server, launch, path)
