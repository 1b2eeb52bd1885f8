"""The journal of a shipment: what the store was told and has answered, on disk before it counts.

One entry a line: its CRC-32C, a space, JSON. Each is synced before the next one is written, so that
a crash can tear the last line and no other. Any other line that is not what was written means that
entries are missing, and with them the knowledge which bytes have left: nothing is made of such a
journal.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from fileloft_fast.dataplane import SYNC_DATA, SYNC_NAME, SYNC_NONE, Engine, digest_of
from fileloft_fast.errors import StoreError
from fileloft_fast.stores.fs.failures import store_error
from fileloft_fast.stores.remote.objects import Receipt

if TYPE_CHECKING:
    from asyncio import Future

_SUM: Final = 8  # hexadecimal digits


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """The upload is to be shipped as *key*, in parts of *part_bytes*; *zstd* 0: as it is.

    *keeps*: bytes that have left stay here too, but for those that a ``Hole`` tells of; else each
    part may be a hole as soon as its entry is written. *bucket*: where the key is, "" not known.
    """

    key: str
    part_bytes: int
    owner: str
    zstd: int = 0
    keeps: bool = False
    bucket: str = ""


class Session(msgspec.Struct, frozen=True, tag="session"):
    """The store has opened a session; of earlier ones, and of their parts, nothing is left."""

    name: str


class Part(msgspec.Struct, frozen=True, tag="part", omit_defaults=True):
    """The store has the bytes from *offset* of the object on; the rest is the ``Receipt``.

    *running*: what the upload hashes to up to the end of them, "" not known: they may be holes.
    """

    number: int
    offset: int
    size: int
    tag: str
    crc32c: int
    running: str = ""

    @property
    def end(self) -> int:
        """Where the byte after the last one lies."""
        return self.offset + self.size

    @property
    def receipt(self) -> Receipt:
        """Return what ``complete`` asks for."""
        return Receipt(self.number, self.size, self.tag, self.crc32c)


class Completing(msgspec.Struct, frozen=True, tag="completing"):
    """The store is asked to make the object; from here on it may be there, whatever we hear."""

    size: int
    crc32c: int


class Completed(msgspec.Struct, frozen=True, tag="completed"):
    """The object is there, in this version."""

    tag: str


class Hole(msgspec.Struct, frozen=True, tag="hole"):
    """The first *end* bytes of what is sent are not here any more, or will not be in a moment."""

    end: int


class Frame(msgspec.Struct, frozen=True, tag="frame"):
    """Compressed, the upload's first *raw_end* bytes are the file's first *stored_end* bytes."""

    raw_end: int
    stored_end: int


class Withdrawn(msgspec.Struct, frozen=True, tag="withdrawn"):
    """The upload was removed here while the store was away, which may still have some of it."""


Entry: TypeAlias = Begin | Session | Part | Completing | Completed | Hole | Frame | Withdrawn

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder[Entry](Entry)


def render(entry: Entry) -> bytes:
    """Return the line of *entry*."""
    text = _ENCODER.encode(entry)
    return b"%b %b\n" % (_sum(text), text)


def parse(contents: bytes) -> tuple[list[Entry], int]:
    """Return the entries up to a line that a crash has torn, and how many bytes they take.

    Raises StoreError where anything else is wrong: damage, or an entry of a later version.
    """
    entries: list[Entry] = []
    sound = 0
    while (end := contents.find(b"\n", sound)) >= 0:
        text = contents[sound + _SUM + 1 : end]
        if not _fits(contents[sound:end]):
            break
        try:
            entries.append(_DECODER.decode(text))
        except msgspec.DecodeError as error:
            raise StoreError(f"the journal is of a newer version: {text[:60]!r}") from error
        sound = end + 1
    if not _is_torn(contents[sound:]):
        raise StoreError(f"the journal is damaged in line {len(entries) + 1}")
    return entries, sound


def _is_torn(rest: bytes) -> bool:
    """Whether *rest* is what a crash may have left of one line, or nothing at all.

    Of a line that was not written to its end the end is missing, or there are zeros in its place.
    One that lacks neither was whole once, and counted.
    """
    line, newline, more = rest.partition(b"\n")
    if more:
        return False
    return b"\0" in line if newline else not _fits(line[:-1])


def _fits(line: bytes) -> bool:
    return line[: _SUM + 1] == _sum(line[_SUM + 1 :]) + b" "


def _sum(text: bytes) -> bytes:
    return digest_of("crc32c", text).hex().encode()


class Journal:
    """The journal file of one upload; it comes into being with the first entry.

    Entries are appended and synced one after another, however many ask at once. Raises StoreError;
    to a journal that cannot be read nothing is added.
    """

    def __init__(self, engine: Engine, directory: int, name: bytes, mode: int = 0o600) -> None:
        self._engine = engine
        self._directory = directory
        self._name = name
        self._mode = mode
        self._turn = asyncio.Lock()
        self._end: int | None = None
        self._torn = False
        self._named = False  # whether the file's name would survive a power cut
        self._job: Future[Any] | None = None

    async def read(self) -> list[Entry]:
        """Return the entries that survived, none where there is no file."""
        async with self._turn:
            try:
                return await self._read()
            except OSError as error:
                raise store_error(error) from error

    async def append(self, entry: Entry) -> None:
        """Write *entry* down; it survives a power cut.

        One that was cancelled or has failed may be read all the same after a crash, not otherwise.
        """
        async with self._turn:
            try:
                await self._append(render(entry))
            except OSError as error:
                raise store_error(error) from error

    async def remove(self) -> None:
        """Delete the file; one that is not there is no error."""
        async with self._turn:
            try:
                await self._settle()
                await self._run(self._engine.remove(self._directory, [self._name]))
            except OSError as error:
                raise store_error(error) from error
            self._end, self._torn, self._named = 0, False, False

    async def _read(self) -> list[Entry]:
        await self._settle()
        try:
            descriptor, size = await self._open(os.O_RDONLY)
        except FileNotFoundError:
            self._end, self._torn = 0, False
            return []
        reading = self._engine.read(descriptor, size, 0)
        reading.add_done_callback(lambda _: os.close(descriptor))
        entries, self._end = parse(await asyncio.shield(reading))
        self._torn = self._end != size
        return entries

    async def _append(self, line: bytes) -> None:
        if self._end is None:
            await self._read()
        await self._settle()
        assert self._end is not None
        if self._torn:
            await self._run(
                self._engine.truncate(self._directory, self._name, self._end, SYNC_NONE)
            )
        if self._end == 0:
            os.close((await self._open(os.O_CREAT | os.O_RDWR))[0])
        sync = SYNC_DATA if self._named else SYNC_NAME
        # Torn until it is known to be whole: an error or a cancellation may leave any piece of it.
        self._torn = True
        await self._run(self._engine.append(self._directory, self._name, line, self._end, sync))
        self._end += len(line)
        self._torn = False
        self._named = True

    async def _run(self, job: Future[Any]) -> None:
        """Wait for *job*, which changes the file and goes on where the caller is cancelled."""
        self._job = job
        await asyncio.shield(job)
        self._job = None

    async def _settle(self) -> None:
        """Wait for a job whose caller was cancelled."""
        if self._job is not None:
            await asyncio.wait([self._job])
            self._job = None

    async def _open(self, flags: int) -> tuple[int, int]:
        opening = self._engine.open(self._directory, self._name, flags, self._mode)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)
            raise


def _close(opening: Future[tuple[int, int]]) -> None:
    """Close what was opened for nobody."""
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result()[0])
