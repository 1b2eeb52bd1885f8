"""The file of a form that is being received, and the fields around it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import FormError, TooLargeError
from fileloft_fast.storages.disposition import parse_boundary
from fileloft_fast.storages.file_end import FileEnd
from fileloft_fast.storages.form import End, Field, FileStart, FormEvent, FormReader

if TYPE_CHECKING:
    from fileloft_fast.model import Body
    from fileloft_fast.stores import FsAppender
    from fileloft_fast.uploads.intake import Intake
    from fileloft_fast.uploads.locks import Hold

MAX_AROUND_BYTES: Final = 1024 * 1024
"""What may follow a file in its form: fields and their heads are less."""

_TAIL_BYTES: Final = 64 * 1024


class FormFile:
    """A form with one file, from *body*. ``begin`` reads what stands before the file.

    Then the file comes by exactly one of ``at_hand``, ``pour`` and ``pieces``. All of them, and the
    constructor, raise FormError; a form that breaks off raises what its body does.
    """

    def __init__(self, body: Body, content_type: str) -> None:
        self.fields: tuple[Field, ...] = ()
        """Those before the file; S3 ignores others, so do we, however the network cuts them."""
        self._before: list[Field] = []
        self._body = body
        self._reader = FormReader(parse_boundary(content_type))
        self._start: FileStart | None = None
        self._pieces: list[bytes] = []  # of the file, and not handed out
        self._ended = False  # the file, not the form
        self._after = 0

    async def begin(self) -> FileStart:
        """Read the fields before the file, and return how the file begins."""
        while self._start is None:
            await self._read_on()
        return self._start

    def at_hand(self) -> bytes | None:
        """Return the whole file where the rest of the form has arrived already, else None."""
        if not self._body.at_hand:
            return None
        self._feed(self._body.take())
        self._reader.finish()
        return self._taken()

    async def pour(
        self, appender: FsAppender, intake: Intake, hold: Hold, room: int | None
    ) -> None:
        """Append the file, at the speed of the engine where the socket can be lent.

        The engine stores all that comes, and what is not of the file is cut off at the end.
        Raises TooLargeError where the file has more than *room* bytes, StoreError.
        """
        if self._body.length is not None and await self._receive(appender, intake, hold, room):
            return
        async for piece in self.pieces():
            _check_room(appender.received + len(piece), room)
            await appender.write(piece)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Go through the bytes of the file, and then through the rest of the form."""
        while True:
            if piece := self._taken():
                yield piece
            if self._reader.ended:
                break
            await self._read_on()
        while data := await self._body.read():  # or the connection could not go on
            self._after += len(data)
            if self._after > MAX_AROUND_BYTES:
                raise FormError("the body goes on after the form")

    async def _receive(
        self, appender: FsAppender, intake: Intake, hold: Hold, room: int | None
    ) -> bool:
        """Append the file by lending the socket; False where that cannot be, and nothing was."""
        while not (self._ended or self._reader.within_file):
            await self._read_on()
        self._feed(self._body.take())
        if self._ended:
            return False
        known, held = self._taken(), self._reader.release()
        assert self._body.length is not None
        length = len(known) + len(held) + self._body.length - self._body.received
        _check_room(length - MAX_AROUND_BYTES, room)
        end = FileEnd(appender, self._reader.delimiter, len(known))
        async with end.followed(lambda: hold.transfer.moved if hold.transfer else 0, length):
            lent = await intake.receive(appender, self._body, known + held, hold, length=length)
        if lent:
            await self._cut(appender, await end.find(appender.received), room)
        else:
            self._pieces.append(known)
            self._feed(held)
        return lent

    async def _cut(self, appender: FsAppender, end: int, room: int | None) -> None:
        """Read on from where the file ends, and keep the file alone."""
        if end >= 0:
            _check_room(end, room)
            at = end
            while not self._reader.ended and (data := await appender.read(at, _TAIL_BYTES)):
                self._feed(data)
                at += len(data)
        self._reader.finish()
        await appender.cut(end)

    async def _read_on(self) -> None:
        data = await self._body.read()
        if not data:
            self._reader.finish()
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        for event in self._reader.feed(data):
            self._on(event)

    def _on(self, event: FormEvent) -> None:
        match event:
            case bytes():
                self._pieces.append(event)
            case Field():
                self._before.append(event)
            case FileStart():
                self._on_start(event)
            case End.FILE:
                self._ended = True
            case End.FORM:
                if self._start is None:
                    raise FormError("the form has no file")

    def _on_start(self, start: FileStart) -> None:
        if self._start is not None:
            raise FormError("the form has more than one file")
        self._start = start
        self.fields = tuple(self._before)

    def _taken(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return data


def _check_room(size: int, room: int | None) -> None:
    if room is not None and size > room:
        raise TooLargeError(f"the file may have at most {room} bytes")
