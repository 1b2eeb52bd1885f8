"""The locks of all processes of one host that work in one data directory.

Who comes first in its process locks the upload's place in the lock files: one system call where
nobody else has it. Where a process has it, the newcomer asks all of them; the holder ends, unlocks,
and tells the first of those who asked that it is its turn, and who else has asked.

    ask ID            who holds ID lets go of it
    turn ID PEER…     ID is free, and these want it too
    look ID NUMBER    who holds ID settles it, then says
    wait NUMBER       the holder is at it
    settled NUMBER

Messages may be lost, so that whoever waits tries again by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Final, Self, cast

from fileloft_fast.errors import UploadLockedError
from fileloft_fast.uploads.host.files import Role, place_of
from fileloft_fast.uploads.locks import Hold, Locks, OuterHold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from fileloft_fast.model import Body, UploadId
    from fileloft_fast.observe.board import Board
    from fileloft_fast.uploads.host.files import LockFiles
    from fileloft_fast.uploads.host.post import Post

_SWEEPING: Final = 0
_TRY_S: Final = 0.002
_TRY_SELDOM_S: Final = 0.05
_ASK_EVERY_S: Final = 0.05
_YIELD_S: Final = 0.01
"""For so long who was asked leaves an upload to those who asked: their loops have to wake up."""
_LOOK_S: Final = 1.5  # after the last word of the holder's process, which has many in that time
_LOOK_EVERY_S: Final = 0.01
_LOOKS: Final = 10  # then it is asked again: another process may have it by now


class HostHold(OuterHold):
    """A claim among the processes of the host."""

    __slots__ = ("heirs", "locked", "place", "turn")

    _locks: HostLocks

    def __init__(self, locks: HostLocks, upload: UploadId, body: Body | None) -> None:
        super().__init__(locks, upload, body)
        self.place = place_of(upload)
        self.locked = False
        self.turn: asyncio.Event | None = None
        self.heirs: list[str] = []  # who else had asked the last holder

    async def __aenter__(self) -> Self:
        upload, queues = self.upload, self._locks.queues
        free = upload not in queues and upload not in self._locks.yielded
        if free and self._locks.files.try_lock(self.place):
            self.locked = True
            queues[upload] = deque((self,))
            return self
        return await super().__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._pass_on()

    async def _claim(self, queue: deque[Hold]) -> bool:  # noqa: ARG002 - the queue is not asked
        if not self.locked:
            self.turn = asyncio.Event()
            try:
                await self._stand_in_line(self.turn)
            finally:
                self.turn = None
            self._locks.promise(self.upload, self.heirs)
        return self.upload in self._locks.asked

    async def _stand_in_line(self, turn: asyncio.Event) -> None:
        """Lock the place as soon as it is free, asking for it again and again."""
        locks, loop = self._locks, asyncio.get_running_loop()
        next_ask, pause_s = 0.0, _TRY_S
        yields = self.upload in locks.yielded
        while yields or not locks.files.try_lock(self.place):
            yields = False
            if turn.is_set():  # somebody was faster, and has not been asked
                next_ask, pause_s = 0.0, _TRY_S
                turn.clear()
            if loop.time() >= next_ask:
                next_ask = loop.time() + _ASK_EVERY_S
                locks.post.tell_all("ask", self.upload)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await turn.wait()
            pause_s = min(2 * pause_s, _TRY_SELDOM_S)
        self.locked = True

    async def _give_up(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        """Leave, and leave the place to another process that asked, or to the next one here."""
        if self.locked:
            self.locked = False
            self._locks.pass_on(self)
        self._leave()


class _Look:
    """A look at an upload that another process holds: what that says, and how long it is given."""

    __slots__ = ("_ends_at", "_loop", "answer", "is_heard", "limit")

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        self.answer: asyncio.Future[None] = loop.create_future()
        self.limit = asyncio.timeout(_LOOK_S)
        self.is_heard = False
        self._loop = loop
        self._ends_at = loop.time() + timeout_s + _LOOK_S

    def extend(self) -> None:
        """Wait on: the holder's process is alive, and at it."""
        self.is_heard = True
        if not self.limit.expired():
            self.limit.reschedule(min(self._loop.time() + _LOOK_S, self._ends_at))


class HostLocks(Locks):
    """The locks of this process and of the others that work in the same directory.

    Takes *files* and *post* over. Begins on the loop that runs.
    """

    def __init__(
        self, timeout_s: float, files: LockFiles, post: Post, board: Board | None = None
    ) -> None:
        super().__init__(timeout_s, board=board)
        self.files = files
        self.post = post
        self.sweeping = Role(files, _SWEEPING)
        self.asked: dict[UploadId, list[str]] = {}
        """What is locked here and wanted by others, the first one first."""
        self.yielded: set[UploadId] = set()
        self._loop = asyncio.get_running_loop()
        self._looks: dict[str, _Look] = {}
        self._looked = 0
        self._settling: dict[tuple[str, str], asyncio.Task[None]] = {}
        post.start(self._on_message)

    def close(self) -> None:
        """Give everything back."""
        for task in tuple(self._settling.values()):
            task.cancel()
        self.post.close()
        self.files.close()

    def hold(self, upload: UploadId, body: Body | None = None) -> HostHold:
        """Return a claim on *upload* to be entered."""
        self.note(upload)
        return HostHold(self, upload, body)

    def is_held(self, upload: UploadId) -> bool:
        """Return whether *upload* is held, in whichever process."""
        return upload in self.queues or self.files.is_locked_elsewhere(place_of(upload))

    async def settle(self, upload: UploadId) -> None:
        """Wait until the file has every byte that a holder's client has sent, wherever that is.

        Raises what ``Hold.settle`` raises. A process that says nothing is not waited for longer.
        """
        # Nearly always nobody is here: a look costs less than a call.
        holder = self._locked_here(upload) if upload in self.queues else None
        if holder is not None:
            await holder.settle()
            return
        place = place_of(upload)
        if self.files.is_locked_elsewhere(place):
            look = _Look(self._loop, self.timeout_s)
            try:
                async with look.limit:
                    await self._settle_elsewhere(upload, place, look)
            except TimeoutError as error:
                if look.is_heard:
                    raise UploadLockedError("the holder's bytes are not in yet") from error

    def pass_on(self, hold: HostHold) -> None:
        """Let go of what *hold* has locked. Only for the holder, about to leave the queue."""
        upload = hold.upload
        asked = self.asked.pop(upload, None) if self.asked else None
        if asked is None and len(queue := self.queues[upload]) > 1:
            cast("HostHold", queue[1]).locked = True
            return
        self.files.unlock(hold.place)
        if asked is not None:
            self.yielded.add(upload)
            self._loop.call_later(_YIELD_S, self.yielded.discard, upload)
            self._give_turn(upload, asked)

    def promise(self, upload: UploadId, heirs: Sequence[str]) -> None:
        """Let go of what was locked just now for *heirs* too, who asked the last holder."""
        if heirs:
            asked = self.asked.setdefault(upload, [])
            asked += [peer for peer in heirs if peer not in asked and peer != self.post.name]

    # -- messages -------------------------------------------------------------------------------

    def _on_message(self, sender: str, words: Sequence[str]) -> None:
        match words:
            case ["ask", upload]:
                self._on_ask(cast("UploadId", upload), sender)
            case ["turn", upload, *others]:
                self._on_turn(cast("UploadId", upload), others)
            case ["look", upload, number]:
                self._on_look(cast("UploadId", upload), sender, number)
            case ["wait", number]:
                self._on_wait(number)
            case ["settled", number]:
                self._on_settled(number)
            case _:
                pass  # of another version

    def _on_ask(self, upload: UploadId, sender: str) -> None:
        holder = self._locked_here(upload)
        if holder is not None:
            asked = self.asked.setdefault(upload, [])
            if sender not in asked:
                asked.append(sender)
            holder.ask()

    def _on_turn(self, upload: UploadId, others: list[str]) -> None:
        first = self.holder(upload)
        if isinstance(first, HostHold) and first.turn is not None:
            first.heirs = others
            first.turn.set()
        else:
            self._give_turn(upload, others)  # who asked here waits no longer

    def _on_look(self, upload: UploadId, sender: str, number: str) -> None:
        holder = self._locked_here(upload)
        if holder is None:
            return
        self.post.tell(sender, "wait", number)
        look = sender, number
        if look not in self._settling:  # else it is asked again
            task = self._loop.create_task(self._tell_settled(holder, sender, number))
            self._settling[look] = task
            task.add_done_callback(lambda _: self._settling.pop(look))

    def _on_wait(self, number: str) -> None:
        look = self._looks.get(number)
        if look is not None:
            look.extend()

    def _on_settled(self, number: str) -> None:
        look = self._looks.get(number)
        if look is not None and not look.answer.done():
            look.answer.set_result(None)

    async def _tell_settled(self, holder: HostHold, sender: str, number: str) -> None:
        with contextlib.suppress(UploadLockedError):  # who looks comes to the same by itself
            await holder.settle()
            self.post.tell(sender, "settled", number)

    # -- what they share ------------------------------------------------------------------------

    def _give_turn(self, upload: UploadId, asked: list[str]) -> None:
        """Tell the first of *asked* that is alive, and who comes after it."""
        for at, peer in enumerate(asked, 1):
            if self.post.tell(peer, "turn", upload, *asked[at:]):
                return

    def _locked_here(self, upload: UploadId) -> HostHold | None:
        holder = self.holder(upload)
        return holder if isinstance(holder, HostHold) and holder.locked else None

    async def _settle_elsewhere(self, upload: UploadId, place: int, look: _Look) -> None:
        """Ask the holder to settle, until it says so or lets go."""
        self._looked += 1
        number = str(self._looked)
        self._looks[number] = look
        try:
            while self.files.is_locked_elsewhere(place):
                self.post.tell_all("look", upload, number)
                if await self._is_settled(look.answer, place):
                    return
        finally:
            del self._looks[number]

    async def _is_settled(self, answer: asyncio.Future[None], place: int) -> bool:
        """Wait for *answer*, or until the holder has let go, which nobody may have told."""
        for _ in range(_LOOKS):
            await asyncio.wait([answer], timeout=_LOOK_EVERY_S)
            if answer.done() or not self.files.is_locked_elsewhere(place):
                return True
        return False
