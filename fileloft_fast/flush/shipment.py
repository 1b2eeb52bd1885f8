"""One upload on its way to the store: what may leave, what has left, and what comes next.

Decisions only: ``carrier`` carries the steps out, ``flusher`` says when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from fileloft_fast.flush.compress import FRAME_BYTES
from fileloft_fast.flush.crc import combine_crc32c
from fileloft_fast.stores.remote.objects import Limits, ObjectHead, Receipt

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from fileloft_fast.flush.compress import Compressor
    from fileloft_fast.model import UploadId, UploadInfo


class Wait(Struct, frozen=True):
    """Nothing can be done until something changes."""


class PutWhole(Struct, frozen=True):
    """Put the object in one request: it is no larger than a part."""

    length: int


class Begin(Struct, frozen=True):
    """Open a session."""


class PutPart(Struct, frozen=True):
    """Send bytes ``[start, start + length)`` as part *number*."""

    number: int
    start: int
    length: int


class Compress(Struct, frozen=True):
    """Make a frame of the upload's bytes, which is what is sent."""


class Complete(Struct, frozen=True):
    """Make the object of its parts; where the store wants it so, with its last bytes."""

    start: int
    length: int


class Inquire(Struct, frozen=True):
    """The store no longer knows the session: find out whether the object is there."""


class Punch(Struct, frozen=True):
    """Give the room of bytes back that have left."""


class Settle(Struct, frozen=True):
    """The object is there: write that down in the bucket, and leave the spool."""


Step: TypeAlias = Wait | PutWhole | Begin | Compress | PutPart | Complete | Inquire | Punch | Settle

WAIT: Final = Wait()


class Shipment:
    """The state of one upload's shipment.

    *plan* gives the size of parts for a length, None where it is not known. *ships* False: the
    bytes stay in the spool for now. Bytes are those of the source, the file that is sent: the
    upload's own, or what *compressor* makes of it; then ``raw`` is said of the upload's own.
    """

    __slots__ = (
        "_limits", "_plan", "_shipped", "asked", "base", "begun", "busy", "compressing",
        "compressor", "counted", "crc32c", "denials", "ended", "failure", "gives_way", "halted",
        "info", "keeps", "kept", "key", "lost", "part_bytes", "progress", "punched_to", "queued",
        "raw_punched_to", "ready", "receipts", "resting", "session", "session_lost", "settled",
        "ships", "states", "stored", "taken", "tasks", "unnamed", "waiters",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0915 - what the dock puts together, and all there is to know
        self,
        info: UploadInfo,
        key: str,
        limits: Limits,
        plan: Callable[[int | None], int],
        *,
        ships: bool = True,
        compressor: Compressor | None = None,
    ) -> None:
        self.info = info
        self.compressor = compressor
        self.compressing = False
        self.raw_punched_to = 0
        self.key = key
        self.ships = ships
        self.ready = 0
        """Verified bytes that the source has, from the first on."""
        self.ended = False
        """Whether no more will come."""
        self.begun = False
        """Whether the size of parts is fixed: the journal says that a session is wanted."""
        self.part_bytes = plan(info.length)
        self.session = ""
        self.unnamed = ""
        """A session that was opened, and is not written down yet."""
        self.receipts: dict[int, Receipt] = {}
        self.base = Receipt(0, 0, "", 0)
        """Bytes in front of the first receipt that a sequential session holds already."""
        self.taken: set[int] = set()
        """Parts in flight."""
        self.busy = False
        """Whether a step is in flight that suffers no other."""
        self.session_lost = False
        self.denials = 0
        """How often the store has denied, since it took something, what it had taken."""
        self.stored: ObjectHead | None = None
        self.settled = False
        self.lost = False
        self.halted = 0
        self.resting = False
        """Whether the last try failed and the next one is not due yet."""
        self.punched_to = 0
        """Bytes of the source that are holes."""
        self.keeps = False
        """Whether the journal tells of holes, so that bytes which have left may stay here too."""
        self.gives_way = False
        """Whether those are to be punched now."""
        self.kept = False
        """Whether the source may get no more holes: somebody reads it."""
        self.asked = False
        """Whether the store was asked for the object, so that it may be there."""
        self.crc32c: int | None = None
        """Of the whole, once it was told to the store."""
        self.states: dict[int, bytes] = {}
        """What the upload's bytes hash to up to some places where it may have to go on from."""
        self.progress = 0
        """Grows with every step that the store has taken."""
        self.failure: BaseException | None = None
        self.queued = False
        self.counted = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.waiters: set[asyncio.Future[None]] = set()
        self._limits, self._plan, self._shipped = limits, plan, 0

    @property
    def upload(self) -> UploadId:
        """The upload's id."""
        return self.info.id

    # -- what happens to it ---------------------------------------------------------------------

    def arrive(self, info: UploadInfo) -> None:
        """Take note of *info*: its bytes are verified and in the source."""
        if info.length != self.info.length and not self.begun:
            self.part_bytes = self._plan(info.length)
        self.info = info
        compressor = self.compressor
        if compressor is None:
            self.ready = int(info.offset)
            self.ended = info.complete
        else:
            self.ready = compressor.stored_end
            self.ended = info.complete and not compressor.wants(info.offset, final=True)

    def restore(self, part_bytes: int, session: str, base: Receipt | None = None) -> None:
        """Go on with a session that was opened before, by this process or another; "" for none."""
        self.begun = True
        self.part_bytes = part_bytes
        self.open(session)
        if base is not None:
            self.base = base
            self._shipped = base.size // part_bytes

    def open(self, session: str) -> None:
        """Begin with a new session: of an earlier one nothing is left."""
        self.session = session
        self.unnamed = ""
        self.session_lost = False
        self.denials = 0
        self.receipts.clear()
        self.base = Receipt(0, 0, "", 0)
        self._shipped = 0

    def accept(self, receipt: Receipt) -> None:
        """The store has a part."""
        self.denials = 0
        self.receipts[receipt.number] = receipt
        while self._shipped + 1 in self.receipts:
            self._shipped += 1
        for end in [end for end in self.states if end < self.shipped_end]:
            del self.states[end]

    def forget_from(self, offset: int) -> None:
        """Take back receipts of bytes from *offset* on: they will be sent again."""
        if self.compressor is not None:
            return  # none of what was compressed is ever taken back
        for number in [n for n in self.receipts if self._end_of(n) > offset]:
            del self.receipts[number]
            self._shipped = min(self._shipped, number - 1)

    def take(self, step: Step) -> None:
        """Note that *step* is in flight."""
        if isinstance(step, PutPart):
            self.taken.add(step.number)
        elif isinstance(step, Compress):
            self.compressing = True
        else:
            self.busy = True

    def give_back(self, step: Step) -> None:
        """Note that *step* is over, however it ended."""
        if isinstance(step, PutPart):
            self.taken.discard(step.number)
        elif isinstance(step, Compress):
            self.compressing = False
        else:
            self.busy = False

    # -- what it is -----------------------------------------------------------------------------

    @property
    def shipped_end(self) -> int:
        """How many bytes, from the first, have left without a gap."""
        if self.stored is not None:
            return self.ready
        return self._end_of(self._shipped) if self._shipped in self.receipts else self.base.size

    @property
    def fixed_end(self) -> int:
        """How many of the upload's bytes cannot be taken back: they are gone from its file."""
        return self.shipped_end if self.compressor is None else self.compressor.raw_end

    @property
    def sendable_end(self) -> int:
        """Where the bytes end that may leave now: at a part's end, or at the very last byte."""
        if not self.ships:
            return 0
        if self.ended:
            return self.ready
        end = self.ready // self.part_bytes * self.part_bytes
        # Without a known length this part may be the last, which must not be put as a part where
        # it completes the session, and needs no session where it is the only one. It is where
        # every byte is there, and only the end is waited for.
        unsure = self.info.length in {None, self.ready} or self.compressor is not None
        unsure = unsure and (not self.session or self._limits.last_completes)
        if unsure and end == self.ready:
            end -= self.part_bytes
        return max(end, 0)

    @property
    def backlog(self) -> int:
        """Bytes that might have left by now, and what of the disk waits for them to leave.

        Parts behind one that has not left stay, although the store has them.
        """
        if self.stored is not None or self.lost:
            return 0
        left = max(0, self.sendable_end - self.shipped_end)
        return left if self.compressor is None else left + self._raw_backlog(self.compressor)

    @property
    def spooled(self) -> int:
        """Bytes of the upload that are on this disk."""
        return max(0, int(self.info.offset) - self.hole_end)

    @property
    def copies(self) -> int:
        """Bytes that have left and are here all the same, but might be punched."""
        read = self.kept and self.compressor is None
        if read or self.stored is not None or self.lost or self.session_lost:
            return 0
        return max(0, self.shipped_end - self.punched_to)

    @property
    def zstd(self) -> int:
        """The level at which it is compressed, 0 where it is not."""
        return 0 if self.compressor is None else self.compressor.level

    @property
    def has_holes(self) -> bool:
        """Whether some of the upload's bytes are not in its file any more."""
        return bool(self.hole_end)

    @property
    def hole_end(self) -> int:
        """Where the upload's bytes begin that are in its file."""
        return self.punched_to if self.compressor is None else self.raw_punched_to

    @property
    def idle(self) -> bool:
        """Whether nobody would miss it: nothing was begun, and there is nothing to ship."""
        if not self.ships:
            return True
        known = self.begun or self.asked or self.ended or self.fixed_end
        return not (known or self.tasks or self.backlog)

    @property
    def fits_one(self) -> bool:
        """Whether the upload has ended and is no larger than one part."""
        return self.ended and not self.begun and self.ready <= self.part_bytes

    def next_step(self) -> Step:
        """Return what may be done now, beside what is in flight."""
        if self.halted or self.resting or self.busy or self.settled or self.lost:
            return WAIT
        if self.stored is not None:
            return Settle()
        if self.session_lost:
            return WAIT if self.taken else Inquire()
        return self._next_of_bytes()

    def _next_of_bytes(self) -> Step:
        if self.gives_way and self.copies:
            return Punch()
        if self._may_compress():
            return Compress()
        if self.fits_one and self.ships:
            return PutWhole(self.ready)
        if not self.session:
            return Begin() if self.sendable_end else WAIT
        return self._next_of_session()

    def _may_compress(self) -> bool:
        compressor, info = self.compressor, self.info
        if compressor is None or self.compressing:
            return False
        return compressor.wants(info.offset, final=info.complete)

    def _raw_backlog(self, compressor: Compressor) -> int:
        left = self.info.offset - compressor.raw_end
        return left if self.info.complete else left - left % FRAME_BYTES

    def _next_of_session(self) -> Step:
        end = self._parts_end()
        part = self._next_part(end)
        if part is not None:
            return WAIT if self.taken and self._limits.sequential else part
        if self.taken or not self.ended or not self.ships:
            return WAIT
        return Complete(end, self.ready - end)

    def _parts_end(self) -> int:
        """Where the bytes end that go as parts."""
        end = self.sendable_end
        if not (self.ended and self._limits.last_completes):
            return end
        last = (end - 1) // self.part_bytes * self.part_bytes
        return max(last, self.shipped_end)

    def _next_part(self, end: int) -> PutPart | None:
        number = self._shipped + 1
        while (start := self._start_of(number)) < end:
            if number not in self.receipts and number not in self.taken:
                return PutPart(number, start, min(self._end_of(number), end) - start)
            number += 1
        return None

    def _start_of(self, number: int) -> int:
        return max((number - 1) * self.part_bytes, self.base.size)

    def _end_of(self, number: int) -> int:
        receipt = self.receipts.get(number)
        if receipt is not None:
            return self._start_of(number) + receipt.size
        return number * self.part_bytes

    def parts(self) -> list[Receipt]:
        """Return what the session holds, in order."""
        parts = [self.receipts[number] for number in sorted(self.receipts)]
        return [self.base, *parts] if self.base.size else parts

    def crc32c_with(self, last: Receipt) -> int:
        """Return the CRC-32C of all parts and *last*, which may be empty."""
        crc32c = 0
        for receipt in (*self.parts(), last):
            crc32c = combine_crc32c(crc32c, receipt.crc32c, receipt.size)
        return crc32c
