"""An object store in memory, with the semantics of the real ones; see ``stores.remote.objects``.

``Bucket`` is what the store keeps, ``MemoryObjects`` one replica's client of it, with faults of its
own. A bucket behaves as S3 does, as Google's resumable sessions (``limits.sequential``) or, with
``block_ids``, as Azure's block lists.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Final

from fileloft_fast.errors import (
    CannotJoinError,
    ObjectNotFoundError,
    RemoteRefusedError,
    SessionLostError,
)
from fileloft_fast.stores.remote.objects import (
    ABSENT,
    MOST_FETCHED,
    Attributes,
    Condition,
    Limits,
    ListedObject,
    ObjectHead,
    OpenSession,
    Piece,
    Receipt,
)
from tests.stores.bucket import (
    PARALLEL,
    SEQUENTIAL,
    Bucket,
    StoredObject,
    StoredPart,
    StoredSession,
    crc32c_of,
)
from tests.stores.faults import Call, Faults, Phase

__all__ = ["PARALLEL", "SEQUENTIAL", "Bucket", "MemoryObjects", "crc32c_of"]

_GET_BYTES: Final = 64 * 1024


class MemoryObjects:
    """A client of *bucket*; see ``Objects``. ``faults`` say which of its calls fail, and how."""

    def __init__(self, bucket: Bucket | None = None) -> None:
        self.bucket = Bucket() if bucket is None else bucket
        self.faults = Faults()
        self.started = False
        self.closed = False

    @property
    def limits(self) -> Limits:
        return self.bucket.limits

    @property
    def objects(self) -> Mapping[str, StoredObject]:
        """What is stored, for a test to look at."""
        return self.bucket.objects

    async def start(self) -> None:
        self.started = True

    async def close(self) -> None:
        self.closed = True

    async def create(self, key: str, attributes: Attributes) -> str:
        call = Call("create", key)
        await self._before(call)
        name = self.bucket.open_session(key, attributes)
        await self._after(call)
        return name

    async def put_part(
        self, key: str, session: str, number: int, offset: int, piece: Piece
    ) -> Receipt:
        call = Call("put_part", key, number)
        limits = self.limits
        assert 1 <= number <= limits.most_parts, number
        assert 0 < piece.length <= limits.largest_part, piece.length
        await self._before(call)
        content = _read(piece)
        found = self.bucket.session(key, session)
        if limits.sequential:
            assert len(content) % limits.granule == 0, len(content)
            tag = _persist(found, offset, content)
        else:
            tag = self.bucket.part_tag(content)
            found.parts[number] = found.blocks[tag] = StoredPart(content, tag)
        await self._after(call)
        return Receipt(number, len(content), tag, piece.crc32c)

    async def list_parts(self, key: str, session: str) -> list[Receipt]:
        call = Call("list_parts", key)
        await self._before(call)
        found = self.bucket.session(key, session)
        if self.limits.sequential:
            receipts = [Receipt(0, len(found.persisted), "", 0)]
        else:
            receipts = [
                Receipt(number, len(part.content), part.tag, crc32c_of(part.content))
                for number, part in sorted(found.parts.items())
            ]
        await self._after(call)
        return receipts

    async def complete(
        self,
        key: str,
        session: str,
        receipts: Sequence[Receipt],
        *,
        size: int,
        crc32c: int,
        attributes: Attributes,
        condition: Condition | None = ABSENT,
        last: Piece | None = None,
    ) -> ObjectHead:
        call = Call("complete", key)
        assert last is None or self.limits.last_completes
        await self._before(call)
        rest = b"" if last is None else _read(last)
        found = self.bucket.session(key, session)
        if self.limits.sequential:
            content = bytes(found.persisted) + rest
        else:
            content = self._assembled(found, receipts)
        if len(content) != size or (self.bucket.verifies and crc32c_of(content) != crc32c):
            raise RemoteRefusedError("400: not the size or the checksum of the whole")
        head = self.bucket.store(key, content, attributes, condition)
        del self.bucket.sessions[session]
        await self._after(call)
        return head

    async def abort(self, key: str, session: str) -> None:
        call = Call("abort", key)
        await self._before(call)
        self.bucket.sessions.pop(session, None)
        await self._after(call)

    async def get(
        self, key: str, start: int, length: int, tag: str = ""
    ) -> AsyncGenerator[bytes, None]:
        call = Call("get", key)
        await self._before(call)
        stored = self.bucket.objects.get(key)
        if stored is None or tag not in {"", stored.tag}:
            raise ObjectNotFoundError(f"no such object: {key}")
        wanted = stored.content[start : start + length]
        for at in range(0, len(wanted), _GET_BYTES):
            yield wanted[at : at + _GET_BYTES]
        await self._after(call)

    async def head(self, key: str) -> ObjectHead | None:
        call = Call("head", key)
        await self._before(call)
        head = self.bucket.told(key) if key in self.bucket.objects else None
        await self._after(call)
        return head

    async def put(
        self,
        key: str,
        content: Piece | bytes,
        attributes: Attributes,
        condition: Condition | None = None,
    ) -> ObjectHead:
        call = Call("put", key)
        await self._before(call)
        data = content if isinstance(content, bytes) else _read(content)
        head = self.bucket.store(key, data, attributes, condition)
        await self._after(call)
        return head

    async def fetch(self, key: str) -> tuple[bytes, str] | None:
        call = Call("fetch", key)
        await self._before(call)
        stored = self.bucket.objects.get(key)
        await self._after(call)
        return None if stored is None else (stored.content[:MOST_FETCHED], stored.tag)

    async def delete(self, key: str) -> None:
        call = Call("delete", key)
        await self._before(call)
        self.bucket.objects.pop(key, None)
        await self._after(call)

    async def sign(self, key: str, expires_s: int) -> str:
        await self._before(Call("sign", key))
        return f"memory:///{key}?expires={expires_s}"

    async def join(
        self, key: str, sources: Sequence[ObjectHead], attributes: Attributes
    ) -> ObjectHead:
        call = Call("join", key)
        await self._before(call)
        if any(source.size < self.limits.smallest_part for source in sources[:-1]):
            raise CannotJoinError("a source is smaller than the smallest part")
        stored = [self.bucket.objects.get(source.key) for source in sources]
        if any(
            found is None or found.tag != source.tag
            for found, source in zip(stored, sources, strict=True)
        ):
            raise ObjectNotFoundError("a source is not there")
        content = b"".join(found.content for found in stored if found is not None)
        head = self.bucket.store(key, content, attributes, ABSENT)
        await self._after(call)
        return head

    async def list_keys(self, prefix: str) -> AsyncIterator[str]:
        await self._before(Call("list_keys", prefix))
        for key in sorted(self.bucket.objects):
            if key.startswith(prefix):
                yield key

    async def list_objects(
        self, prefix: str, after: str, page: int
    ) -> AsyncGenerator[ListedObject, None]:
        await self._before(Call("list_objects", prefix))
        keys = [key for key in self.bucket.objects if key.startswith(prefix) and key > after]
        for number, key in enumerate(sorted(keys, key=str.encode)):
            if number and not number % page:
                await self._before(Call("list_objects", prefix))
            head = self.bucket.told(key)
            yield ListedObject(key, head.size, head.tag, head.modified_at)

    async def list_sessions(self, prefix: str) -> AsyncIterator[OpenSession]:
        await self._before(Call("list_sessions", prefix))
        if self.limits.sequential:
            return  # Google lists no resumable sessions
        for name, session in sorted(self.bucket.sessions.items()):
            if session.key.startswith(prefix):
                yield OpenSession(session.key, name, session.created_at)

    def _assembled(self, found: StoredSession, receipts: Sequence[Receipt]) -> bytes:
        """Return the bytes of the parts that are named, each of which must be there as named."""
        assert receipts, "an object of no parts"
        assert [r.number for r in receipts] == sorted({r.number for r in receipts})
        assert all(r.size >= self.limits.smallest_part for r in receipts[:-1])
        pieces = []
        for receipt in receipts:
            part = found.parts.get(receipt.number)
            if self.bucket.block_ids:
                part = found.blocks.get(receipt.tag)
            if part is None or part.tag != receipt.tag:
                raise SessionLostError(f"InvalidPart: {receipt.number}")
            pieces.append(part.content)
        return b"".join(pieces)

    async def _before(self, call: Call) -> None:
        assert not self.closed
        await self.faults.pass_(call, Phase.BEFORE)

    async def _after(self, call: Call) -> None:
        await self.faults.pass_(call, Phase.AFTER)


def _persist(found: StoredSession, offset: int, content: bytes) -> str:
    """Append what the session does not hold yet; bytes that it holds are not looked at."""
    held = len(found.persisted)
    if offset > held:
        raise SessionLostError(f"the session holds {held} bytes, not {offset}")
    found.persisted += content[held - offset :]
    return ""


def _read(piece: Piece) -> bytes:
    content = os.pread(piece.descriptor, piece.length, piece.start)
    assert len(content) == piece.length, "the file is shorter than the piece"
    assert crc32c_of(content) == piece.crc32c, "not the piece's checksum"
    return content
