"""The guard: who is let in, what they see, and what they may still have."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from fileloft_fast.access.audit import Audit
from fileloft_fast.access.bearer import UNAUTHORIZED, addressed, admitted, has_token, token_of
from fileloft_fast.access.claims import OWN
from fileloft_fast.errors import (
    FileloftError,
    ForbiddenError,
    TooLargeError,
    UnauthorizedError,
    UploadNotFoundError,
)
from fileloft_fast.model import Operation, Permit, RequestHead, UploadId
from fileloft_fast.tus.effects import (
    Append,
    Concatenate,
    Create,
    Download,
    Effect,
    Inspect,
    Options,
    Terminate,
)

if TYPE_CHECKING:
    from fileloft_fast.access.accounts import Accounts
    from fileloft_fast.access.rate import Rates
    from fileloft_fast.model import Quota, Response, UploadInfo
    from fileloft_fast.stores import AnyStore
    from fileloft_fast.tus.plan import AppendPlan
    from fileloft_fast.tus.rules import TusRules

_NEEDED: Final[Mapping[type[Effect], Operation]] = {
    Create: Operation.CREATE,
    Concatenate: Operation.CREATE,
    Append: Operation.APPEND,
    Inspect: Operation.INSPECT,
    Download: Operation.READ,
    Terminate: Operation.DELETE,
}
"""What each effect needs; OPTIONS, by which a browser asks before it sends a token, needs none."""

_KEPT: Final = 10_000


class Verifier(Protocol):
    """What tells a token's permit: ``tokens.Tokens``, which a server without access never loads."""

    async def start(self) -> None:
        """Have the keys at hand. Raises ConfigError."""

    async def close(self) -> None:
        """End what works on keys."""

    async def permit(self, token: str, *, by_query: bool) -> Permit:
        """Return what *token* allows. Raises UnauthorizedError, KeysUnavailableError."""


class Access:
    """Admits requests by their tokens, and counts what their subjects have.

    *tokens* is None where none count. *quota* is what every subject is held to; a token may say
    otherwise for its own. *certificates*: whoever sends no token is whom their verified certificate
    says.
    """

    def __init__(
        self,
        tokens: Verifier | None,
        accounts: Accounts,
        rates: Rates,
        quota: Quota,
        *,
        certificates: bool = False,
    ) -> None:
        self._tokens = tokens
        self._accounts = accounts
        self._rates = rates
        self._quota = quota
        self._certificates = certificates
        self._counts_all = bool(quota.bytes or quota.uploads)
        self._owners: OrderedDict[UploadId, str] = OrderedDict()

    # -- who, and what --------------------------------------------------------------------------

    async def admit(self, head: RequestHead) -> RequestHead:
        """Return *head* with what its token allows, and without the token where it was in the URL.

        Raises UnauthorizedError, before anything is told of an upload; KeysUnavailableError.
        """
        if head.method == "OPTIONS":
            return admitted(head, None)
        if self._certificates and head.peer.name and not has_token(head):
            return admitted(head, _named(head.peer.name, self._quota))
        token, by_query = token_of(head)
        if self._tokens is None:
            raise UnauthorizedError(UNAUTHORIZED)
        return admitted(head, await self._tokens.permit(token, by_query=by_query))

    def check(self, head: RequestHead, effect: Effect) -> None:
        """Raise ForbiddenError where the token does not allow *effect*, whatever there is.

        Raises UploadNotFoundError for an upload that it is not about.
        """
        permit = head.permit
        if isinstance(effect, Options):
            return
        assert permit is not None, "admitted without a token"
        if _NEEDED[type(effect)] not in permit.operations:
            raise ForbiddenError("the token does not allow this")
        if isinstance(effect, Create | Concatenate):
            _check_creation(permit, effect)
        elif not _names(permit, effect.id):
            raise UploadNotFoundError("no such upload")

    def addressed(self, head: RequestHead, response: Response) -> Response:
        """Return the answer to *head*, as it came, with its token where its client needs it."""
        if not head.query or head.method == "OPTIONS":
            return response
        return addressed(head, response)

    # -- whose ----------------------------------------------------------------------------------

    def owns(self, head: RequestHead, upload: UploadId) -> bool:
        """Return whether *upload* is known to be the bearer's, by what was seen of it before.

        Only to pass a look over that is made anyway, under the lock.
        """
        permit = head.permit
        assert permit is not None, "admitted without a token"
        return self._owners.get(upload) == permit.subject or Operation.ADMIN in permit.operations

    def check_sees(self, permit: Permit, info: UploadInfo) -> None:
        """Raise UploadNotFoundError where *info* is not for the bearer's eyes."""
        if not _sees(permit, info):
            raise UploadNotFoundError("no such upload")
        self._remember(info)

    # -- how much -------------------------------------------------------------------------------

    def take_turn(self, permit: Permit) -> None:
        """Count a creation that is wished for. Raises QuotaError where they come too fast."""
        if permit.quota.rate:
            self._rates.take(permit.subject, permit.quota.rate)

    async def foresee(self, permit: Permit, info: UploadInfo) -> None:
        """Raise what ``counted`` would, and count nothing yet: before others are asked."""
        if permit.uploads or self._counts(permit):
            await self._accounts.look(permit, info)

    @asynccontextmanager
    async def counted(self, permit: Permit, info: UploadInfo) -> AsyncIterator[None]:
        """Have an upload made that counts for its owner; where an error leaves none, it does not.

        Raises ForbiddenError, QuotaError, TooLargeError, AccountsError.
        """
        counts = bool(permit.uploads) or self._counts(permit)
        if counts:
            await self._accounts.reserve(permit, info, sized=self._counts(permit))
        try:
            yield
        except FileloftError as error:
            if counts and not error.leaves_upload:
                self._accounts.cancel(permit, info)
            raise
        self._remember(info)

    async def room(
        self, permit: Permit, info: UploadInfo, planned: AppendPlan, size: int | None
    ) -> int | None:
        """Return how many bytes a request may bring to *info*: what is planned, or less by quota.

        Only of an upload whose length was deferred nobody has counted yet what comes.
        Raises QuotaError, TooLargeError.
        """
        if permit.max_size and info.length is not None and info.length > permit.max_size:
            raise TooLargeError(f"the token is for uploads of at most {permit.max_size} bytes")
        if info.length is not None or not permit.quota.bytes:
            return planned.room
        least = planned.length
        most = planned.length
        if planned.length is None:
            least = info.offset + (size or 0)
            most = least if size is not None else None
            if most is None and planned.room is not None:
                most = info.offset + planned.room
        assert least is not None
        return await self._accounts.grow(permit, info, least, most) - info.offset

    def settle(self, info: UploadInfo) -> None:
        """Count an upload as it is after a request: finished, or as long as it has become."""
        if (info.complete or info.length is None) and self._accounts.used:
            self._accounts.settle(info)

    def recount(self, info: UploadInfo) -> None:
        """Count an upload as it is, also where it is not written down."""
        if info.owner and self._accounts.used:
            self._accounts.recount(info)

    def release(self, upload: UploadId) -> None:
        """Give back what an upload had that is gone."""
        self._owners.pop(upload, None)
        if self._accounts.used:
            self._accounts.release(upload)

    async def audit(
        self, store: AnyStore, is_held: Callable[[UploadId], bool], every_s: float
    ) -> None:
        """Go through all uploads and put the accounts right, where no other process does.

        What crashes left, what another replica or another program did, what was made before there
        were quotas: all of it is counted from then on. Where only tokens speak of quotas, it is the
        uploads that were counted. Raises AccountsError, RemoteUnavailableError.
        """
        begun_at = time.time()
        if not (self._counts_all or self._accounts.used):
            return
        if not await self._accounts.begin_audit(every_s):
            return
        names = store.names() if self._counts_all else self._accounts.names()
        await Audit(self._accounts, store, is_held).run(names)
        await self._accounts.end_audit(begun_at)

    async def start(self) -> None:
        """Have the keys at hand. Raises ConfigError."""
        if self._tokens is not None:
            await self._tokens.start()

    async def close(self) -> None:
        """Close what is open."""
        await self._accounts.close()
        if self._tokens is not None:
            await self._tokens.close()

    def _remember(self, info: UploadInfo) -> None:
        self._owners[info.id] = info.owner
        if len(self._owners) > _KEPT:
            self._owners.popitem(last=False)

    def _counts(self, permit: Permit) -> bool:
        return self._counts_all or bool(permit.quota.bytes or permit.quota.uploads)


def limited(rules: TusRules, permit: Permit) -> TusRules:
    """Return *rules* with the largest size that *permit* allows."""
    if not permit.max_size or 0 < rules.max_size <= permit.max_size:
        return rules
    return dataclasses.replace(rules, max_size=permit.max_size)


@lru_cache(maxsize=1024)
def _named(name: str, quota: Quota) -> Permit:
    """Return what the bearer of a certificate may do: everything with uploads of that name."""
    return Permit(subject=name, operations=OWN, expires_at=math.inf, quota=quota)


def _check_creation(permit: Permit, effect: Create | Concatenate) -> None:
    if permit.upload:
        raise ForbiddenError("the token is about an upload that there is")
    if isinstance(effect, Create) and effect.has_body and Operation.APPEND not in permit.operations:
        raise ForbiddenError("the token does not allow bytes")
    for key, value in permit.metadata:
        if effect.metadata.value(key) != value:
            raise ForbiddenError("the token asks for other metadata")


def _names(permit: Permit, upload: UploadId) -> bool:
    """Return whether *upload* is one that the token is about, by its name alone."""
    if permit.upload and upload != permit.upload:
        return False
    return not permit.prefix or upload.startswith(f"{permit.prefix}-")


def _sees(permit: Permit, info: UploadInfo) -> bool:
    """Return whether the bearer may know of *info*; what nobody owns is the administrators'."""
    if not _names(permit, info.id):
        return False
    if Operation.ADMIN in permit.operations:
        return True
    return info.owner != "" and info.owner == permit.subject
