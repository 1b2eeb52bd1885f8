"""A server in one mode before a store, and what the bucket has of its uploads."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.server import Server
from tests.stores.clouds import Cloud, Kept, key_of
from tests.stores.faulty import Faulty

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

MIB: Final = 1024 * 1024
SHOPS: Final = (
    "s3 finish",
    "s3 chunk",
    "s3 spool",
    "gcs finish",
    "gcs chunk",
    "azure chunk",
    "azure spool",
)
"""Stores and modes: every mode on two stores at least, for the price of time."""

PARTS: Final = {"s3": 5 * MIB, "gcs": MIB, "azure": MIB}
BYTES: Final = random.Random("features").randbytes(4 * 5 * MIB)


@dataclass(frozen=True, slots=True)
class Shop:
    """A server in one mode; it reaches the store by way of *proxy*."""

    cloud: Cloud
    proxy: Faulty
    tus: Endpoint
    mode: str

    @property
    def part(self) -> int:
        """The size of a part."""
        return int(self.tus.server.settings["FILELOFT_PART_SIZE"])

    @property
    def large(self) -> bytes:
        """What takes three parts, the last one smaller."""
        return BYTES[: 2 * self.part + 333]

    def look(self, upload: str) -> Kept | None:
        """Return the object of an upload."""
        return self.cloud.look(key_of(upload))

    def assert_holds(self, upload: str, content: bytes) -> Kept:
        """Assert that the upload is finished, and its object *content*; return the object."""
        assert self.tus.offset(upload) == len(content)
        if self.mode == "spool":
            eventually(lambda: self.look(upload) is not None, every_s=0.05)
        kept = self.look(upload)
        assert kept is not None
        assert kept.content == content
        return kept

    def assert_gone(self, upload: str) -> None:
        """Assert that nothing is left of an upload: object, record, tail, session, files."""
        key = key_of(upload)
        assert self.tus.head(upload).status in {404, 410}
        eventually(lambda: not [k for k in self.keys() if key in k], every_s=0.05)
        eventually(lambda: key not in self.cloud.sessions(), every_s=0.05)
        eventually(lambda: not list(self.tus.server.data.rglob(f"{key}*")))

    def keys(self) -> list[str]:
        """Return the keys of the bucket."""
        return self.cloud.keys()

    def state(self, upload: str) -> str:
        """Return what the record in the bucket says, "" where there is none."""
        record = self.cloud.look(f"{key_of(upload)}.info")
        return "" if record is None else str(json.loads(record.content)["fast"]["state"])


def open_shop(cloud: Cloud, spool: Path, mode: str, stack: ExitStack, **settings: str) -> Shop:
    """Open one with downloads and concatenation; *stack* closes it."""
    own = {f"FILELOFT_{name}": value for name, value in settings.items()}
    part = str(PARTS[cloud.settings["FILELOFT_BACKEND"]])
    common = {"FILELOFT_ACK": mode, "FILELOFT_PART_SIZE": part, "FILELOFT_ENABLE_DOWNLOAD": "1"}
    common["FILELOFT_ENABLE_CONCATENATION"] = "1"
    proxy = stack.enter_context(Faulty(cloud.url))
    server = stack.enter_context(Server(spool, {**cloud.through(proxy.url), **common, **own}))
    return Shop(cloud, proxy, Endpoint(server), mode)
