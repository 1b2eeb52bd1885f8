"""A store whose every request waits until a test says what becomes of it.

A request may be served, be refused, be served with its answer lost, or be delayed: its client is
told that it failed, and yet it takes effect later, as when a network gives up what a store has.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from fileloft_fast.errors import FileloftError, RemoteUnavailableError
from fileloft_fast.stores.remote.objects import (
    ABSENT,
    Attributes,
    Condition,
    Limits,
    ObjectHead,
    OpenSession,
    Piece,
    Receipt,
)
from tests.stores.faults import Call, Faults, Phase
from tests.stores.memory import Bucket, MemoryObjects

_T = TypeVar("_T")


class Fate(Enum):
    SERVED = "served"
    REFUSED = "refused"
    LOST = "lost"
    DELAYED = "delayed"


@dataclass
class Request:
    """One request on its way to the store."""

    what: str
    client: ScheduledObjects = field(repr=False)
    effect: Callable[[], Any] = field(repr=False)
    answer: asyncio.Future[Any]
    descriptors: list[int] = field(default_factory=list, repr=False)

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()


class Schedule:
    """The requests of all clients. ``free``: each is served as soon as it comes."""

    def __init__(self) -> None:
        self.waiting: list[Request] = []
        self.changed = asyncio.Event()
        self.free = False

    def add(self, request: Request) -> None:
        self.waiting.append(request)
        self.changed.set()
        if self.free:
            self.decide(request, Fate.SERVED)

    def decide(self, request: Request, fate: Fate) -> None:
        """Let *fate* befall *request*; one that was delayed before is served, or never is."""
        if fate is Fate.DELAYED:
            _fail(request)
            return
        self.waiting.remove(request)
        if fate is Fate.REFUSED:
            _fail(request)
        else:
            _serve(request, told=fate is Fate.SERVED)
        request.close()

    def free_all(self) -> None:
        """Serve what waits and what comes."""
        self.free = True
        for request in tuple(self.waiting):
            self.decide(request, Fate.SERVED)


def _serve(request: Request, *, told: bool) -> None:
    try:
        result = request.effect()
    except FileloftError as error:
        if told and not request.answer.done():
            request.answer.set_exception(error)
    else:
        if told and not request.answer.done():
            request.answer.set_result(result)
    if not told:
        _fail(request)


def _fail(request: Request) -> None:
    if not request.answer.done():
        request.answer.set_exception(RemoteUnavailableError("no answer"))


class _NoFaults(Faults):
    async def pass_(self, call: Call, phase: Phase) -> None:
        pass


class ScheduledObjects:
    """A client of *bucket* whose requests are in the hands of *schedule*; see ``Objects``."""

    def __init__(self, bucket: Bucket, schedule: Schedule) -> None:
        self._store = MemoryObjects(bucket)
        self._store.faults = _NoFaults()
        self._schedule = schedule
        self.dead = False

    @property
    def limits(self) -> Limits:
        return self._store.limits

    def die(self) -> None:
        """Ask for nothing more, and hear no answer any more; what was asked for may yet happen."""
        self.dead = True
        for request in self._schedule.waiting:
            if request.client is self:
                _fail(request)

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def create(self, key: str, attributes: Attributes) -> str:
        return await self._ask(f"create {key}", lambda: self._store.create(key, attributes))

    async def put_part(
        self, key: str, session: str, number: int, offset: int, piece: Piece
    ) -> Receipt:
        frozen = _frozen(piece)
        return await self._ask(
            f"put_part {key}",
            lambda: self._store.put_part(key, session, number, offset, frozen),
            frozen,
        )

    async def list_parts(self, key: str, session: str) -> list[Receipt]:
        return await self._ask(f"list_parts {key}", lambda: self._store.list_parts(key, session))

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
        frozen, receipts = None if last is None else _frozen(last), tuple(receipts)

        def completion() -> Coroutine[Any, Any, ObjectHead]:
            return self._store.complete(
                key,
                session,
                receipts,
                size=size,
                crc32c=crc32c,
                attributes=attributes,
                condition=condition,
                last=frozen,
            )

        return await self._ask(f"complete {key}", completion, frozen)

    async def abort(self, key: str, session: str) -> None:
        await self._ask(f"abort {key}", lambda: self._store.abort(key, session))

    async def get(self, key: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        async def read() -> bytes:
            return b"".join([piece async for piece in self._store.get(key, start, length)])

        yield await self._ask(f"get {key}", read)

    async def head(self, key: str) -> ObjectHead | None:
        return await self._ask(f"head {key}", lambda: self._store.head(key))

    async def put(
        self,
        key: str,
        content: Piece | bytes,
        attributes: Attributes,
        condition: Condition | None = None,
    ) -> ObjectHead:
        frozen = _frozen(content) if isinstance(content, Piece) else None
        return await self._ask(
            f"put {key}",
            lambda: self._store.put(key, frozen or content, attributes, condition),
            frozen,
        )

    async def fetch(self, key: str) -> tuple[bytes, str] | None:
        return await self._ask(f"fetch {key}", lambda: self._store.fetch(key))

    async def delete(self, key: str) -> None:
        await self._ask(f"delete {key}", lambda: self._store.delete(key))

    async def sign(self, key: str, expires_s: int) -> str:
        return await self._ask(f"sign {key}", lambda: self._store.sign(key, expires_s))

    async def join(
        self, key: str, sources: Sequence[ObjectHead], attributes: Attributes
    ) -> ObjectHead:
        return await self._ask(f"join {key}", lambda: self._store.join(key, sources, attributes))

    def list_keys(self, prefix: str) -> AsyncIterator[str]:
        return self._store.list_keys(prefix)

    def list_sessions(self, prefix: str) -> AsyncIterator[OpenSession]:
        return self._store.list_sessions(prefix)

    async def _ask(
        self,
        what: str,
        operation: Callable[[], Coroutine[Any, Any, _T]],
        piece: Piece | None = None,
    ) -> _T:
        if self.dead:
            raise RemoteUnavailableError("this replica is dead")
        answer: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        request = Request(what, self, lambda: _at_once(operation()), answer)
        if piece is not None:
            request.descriptors.append(piece.descriptor)
        self._schedule.add(request)
        return await answer


def _at_once(work: Coroutine[Any, Any, _T]) -> _T:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")


def _frozen(piece: Piece) -> Piece:
    """Return a copy of *piece*: what a request carries has left the file."""
    descriptor = os.memfd_create("piece")
    content = os.pread(piece.descriptor, piece.length, piece.start)
    os.pwrite(descriptor, content, piece.start)
    return Piece(descriptor, piece.start, piece.length, piece.crc32c)
