"""A flusher whose carrier does nothing before it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, cast

from fileloft_fast.flush.flusher import Flusher
from fileloft_fast.flush.shipment import Begin, PutPart, Settle, Shipment, Step
from fileloft_fast.flush.spool_room import SpoolLimits, SpoolRoom
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.stores.remote.objects import Limits, ObjectHead, Receipt

if TYPE_CHECKING:
    from fileloft_fast.flush.carrier import Carrier

PART: Final = 1024 * 1024
LIMITS: Final = Limits(smallest_part=1, largest_part=PART, most_parts=99, largest_object=99 * PART)


class Cart:
    """A carrier that does nothing before it is told to."""

    def __init__(self) -> None:
        self.carried: list[tuple[str, Step]] = []
        self.held = True
        self.error: Exception | None = None
        self._gates: list[asyncio.Future[None]] = []

    async def carry(self, shipment: Shipment, step: Step) -> None:
        self.carried.append((shipment.upload, step))
        if self.held:
            gate = asyncio.get_running_loop().create_future()
            self._gates.append(gate)
            await gate
        if self.error is not None:
            raise self.error
        match step:
            case Begin():
                shipment.begun, shipment.session = True, "session"
            case PutPart(number, _, length):
                shipment.accept(Receipt(number, length, "tag", 0))
            case Settle():
                shipment.settled = True
            case _:
                shipment.stored = ObjectHead(key="key", size=shipment.ready, tag="tag")

    @property
    def flying(self) -> int:
        return sum(not gate.done() for gate in self._gates)

    def let(self, count: int = 1) -> None:
        """Let the first *count* of those that are held go on."""
        for gate in [gate for gate in self._gates if not gate.done()][:count]:
            gate.set_result(None)

    def release(self) -> None:
        self.held = False
        self.let(len(self._gates))


class Yard:
    def __init__(self, *, at_once: int = 4, patience_s: float = 5.0) -> None:
        self.cart = Cart()
        room = SpoolRoom(SpoolLimits(), self._free)
        self.flusher = Flusher(
            cast("Carrier", self.cart), room, parts_at_once=at_once, patience_s=patience_s
        )

    async def _free(self) -> int:
        return 0

    def add(self, name: str, size: int, *, begun: bool = True, length: int = 0) -> Shipment:
        info = UploadInfo(id=UploadId(name), offset=Offset(size), length=length or size)
        shipment = Shipment(info, name, LIMITS, lambda _: PART)
        shipment.arrive(info)
        if begun:
            shipment.restore(PART, "session")
        self.flusher.add(shipment)
        return shipment


async def turns(count: int = 8) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)
