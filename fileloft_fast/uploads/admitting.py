"""Which uploads a request may see, and what it may take: the part of serving that comes first."""

from __future__ import annotations

import contextlib
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from fileloft_fast.access import limited
from fileloft_fast.errors import FileloftError, StorageFullError, UploadNotFoundError
from fileloft_fast.model import Body, RequestHead, Response, UploadId, UploadInfo
from fileloft_fast.observe.request import current_request
from fileloft_fast.tus.effects import Append, Create, Effect, Inspect, Terminate
from fileloft_fast.tus.plan import plan
from fileloft_fast.tus.responses import Answers
from fileloft_fast.uploads.failing import after_failure

if TYPE_CHECKING:
    from fileloft_fast.access import Access
    from fileloft_fast.stores import AnyStore, Found
    from fileloft_fast.tus.plan import AppendPlan
    from fileloft_fast.tus.rules import TusRules
    from fileloft_fast.uploads.expiry import Expiry
    from fileloft_fast.uploads.intake import Intake
    from fileloft_fast.uploads.locks import Locks

log = logging.getLogger(__name__)

Serve = Callable[[RequestHead, Any, Body], Awaitable[Response]]


def _drawn_id(head: RequestHead) -> UploadId:
    """Return an id that nobody can guess, behind what the client's token wants it to begin with."""
    prefix = f"{head.permit.prefix}-" if head.permit is not None and head.permit.prefix else ""
    return UploadId(prefix + os.urandom(16).hex())  # secrets.token_hex: the same in four calls


def owner_of(head: RequestHead) -> str:
    """Return the subject that a request speaks for, "" where nobody has to say who they are."""
    return head.permit.subject if head.permit is not None else ""


class Admitting(ABC):
    """Knows the uploads of one store, and what each request may do with them.

    *min_free_bytes*: below so much free space nothing is created (507). *cleanup_partials*: a
    concatenation removes what it was made of. *access* admits requests, None where nobody is asked
    who they are. *answers* are made by *rules* alone where not given. *mine* tells which
    ids may be made here.
    """

    _hashes: tuple[str, ...] = ()
    """Algorithms in which every upload is hashed as a whole, by whatever protocol."""

    def __init__(  # noqa: PLR0913 - the composition root hands every part in
        self,
        rules: TusRules,
        store: AnyStore,
        locks: Locks,
        intake: Intake,
        expiry: Expiry,
        *,
        min_free_bytes: int = 0,
        cleanup_partials: bool = False,
        access: Access | None = None,
        answers: Answers | None = None,
        mine: Callable[[UploadId], bool] = lambda _: True,
    ) -> None:
        self._mine = mine
        self._rules = rules
        self._store = store
        self._locks = locks
        self._intake = intake
        self._expiry = expiry
        self._min_free_bytes = min_free_bytes
        self._cleanup_partials = cleanup_partials
        self._access = access
        self._answers = Answers(rules) if answers is None else answers
        self._serve = self._serving()
        # The field without which a request is tus's; None where that takes more than a look.
        self._mark: str | None = ""

    @abstractmethod
    def _serving(self) -> dict[type[Effect], Serve]:
        """Return what does each effect."""

    async def answer(self, head: RequestHead, body: Body) -> Response:
        """Serve one request; every refusal is a Response."""
        try:
            if self._access is not None:
                return await self._admit(self._access, head, body)
            # A call less is a percent to the smallest requests of tus.
            if self._mark is None or self._mark in head.headers:
                effect = self._plan(head, self._rules)
            else:
                effect = plan(head, self._rules)
            return await self._serve[type(effect)](head, effect, body)
        except FileloftError as error:
            return self.failed(error, head)

    async def _admit(self, access: Access, head: RequestHead, body: Body) -> Response:
        """Serve what the request's token allows; from here on nobody sees a token in a URL."""
        admitted = await access.admit(head)
        request = current_request()
        if request is not None:
            request.subject = owner_of(admitted)
        try:
            effect = self._plan(admitted, self._rules_for(admitted))
            access.check(admitted, effect)
            # Before the lock: who may not see an upload must not disturb who works on it either.
            if isinstance(effect, Append | Inspect | Terminate) and not access.owns(
                admitted, effect.id
            ):
                await self._load(admitted, effect.id)
            response = await self._serve[type(effect)](admitted, effect, body)
        except FileloftError as error:
            return self.failed(error, admitted)  # which tells what the token allows
        return access.addressed(head, response)

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Return the answer for *error*; failing storage goes to the log."""
        return after_failure(error, self._answers.failed(error, head), log)

    def _plan(self, head: RequestHead, rules: TusRules) -> Effect:
        """Return what *head* asks for. Raises WireError."""
        return plan(head, rules)

    def _new_id(self, head: RequestHead) -> UploadId:
        while not self._mine(drawn := _drawn_id(head)):
            continue
        return drawn

    async def _look(self, head: RequestHead, upload: UploadId) -> Found:
        """Return an upload as it may be told of; a holder's bytes count where that can be known."""
        if self._store.guarded:
            async with self._locks.hold(upload):
                return await self._load(head, upload)
        await self._locks.settle(upload)
        found = await self._load(head, upload)
        info = found.info  # nearly never full: compared here, that is no call
        if info.offset == info.length and info.complete and self._locks.is_held(upload):
            # Full, but not yet acknowledged: whoever hears of it must be able to rely on it.
            async with self._locks.hold(upload):
                found = await self._load(head, upload)
        return found

    async def _load(self, head: RequestHead, upload: UploadId) -> Found:
        """Return a living upload that the client may see. UploadNotFoundError, UploadGoneError."""
        found: Found = await self._store.load(upload)
        if self._access is not None:
            assert head.permit is not None, "admitted without a token"
            self._access.check_sees(head.permit, found.info)
        self._expiry.check(found.info)
        return found

    async def _maybe_load(self, head: RequestHead, upload: UploadId) -> Found | None:
        try:
            return await self._load(head, upload)
        except UploadNotFoundError:
            return None

    async def _remove(self, upload: UploadId) -> None:
        await self._store.remove(upload)
        if self._access is not None:
            self._access.release(upload)

    # -- what a token allows --------------------------------------------------------------------

    def _rules_for(self, head: RequestHead) -> TusRules:
        return self._rules if head.permit is None else limited(self._rules, head.permit)

    async def _room(
        self, head: RequestHead, info: UploadInfo, planned: AppendPlan, wanted: Append | Create
    ) -> int | None:
        """Return how many bytes the request may bring, by what is planned and by its quota."""
        if self._access is None or head.permit is None:
            return planned.room
        return await self._access.room(head.permit, info, planned, wanted.size)

    async def _recount(self, info: UploadInfo) -> None:
        """Count what is left of a request that failed, where its size was not known before."""
        if self._access is not None and info.length is None:
            # What went wrong before is what the client must hear of; an audit makes up for this.
            with contextlib.suppress(FileloftError):
                self._access.settle((await self._store.load(info.id)).info)

    async def _check_space(self, head: RequestHead) -> None:
        """Raise what keeps anything from being made now, whatever it is."""
        if await self._store.free_bytes() < self._min_free_bytes:
            raise StorageFullError("less than FILELOFT_MIN_FREE is left")
        if self._access is not None and head.permit is not None:
            self._access.take_turn(head.permit)
