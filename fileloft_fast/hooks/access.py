"""pre-access: whether a request may be served at all, asked of the hooks and remembered."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from fileloft_fast.config import HookEvent
from fileloft_fast.errors import RefusedByHookError
from fileloft_fast.hooks.describe import describe_request
from fileloft_fast.hooks.verdict import answer_of, merge
from fileloft_fast.hooks.wire import HookOccasion, HookRequest, HookUpload

if TYPE_CHECKING:
    from fileloft_fast.hooks.asking import Asking
    from fileloft_fast.hooks.wire import HookResponse
    from fileloft_fast.model import RequestHead, UploadId

_REMEMBERED: Final = 10_000
_LONGEST_S: Final = 24 * 3600.0
_CREDENTIALS: Final = ("authorization", "cookie", "proxy-authorization", "x-api-key")


class _Known(Struct, frozen=True):
    until: float
    refusal: RefusedByHookError | None


class Access:
    """Asks about each request; a yes counts *ttl_s* seconds where the hooks do not say.

    Remembered by method, uploads, credentials and the peer's address; what of *forward* a request
    has are credentials, too. *clock* tells seconds that never go back.
    """

    def __init__(
        self,
        asking: Asking,
        *,
        ttl_s: float,
        forward: Sequence[str],
        clock: Callable[[], float],
    ) -> None:
        self._asking = asking
        self._ttl_s = ttl_s
        self._fields = tuple(dict.fromkeys((*_CREDENTIALS, *(name.lower() for name in forward))))
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def check(self, head: RequestHead, uploads: Sequence[UploadId], *, joins: bool) -> None:
        """Return where every hook lets *head*, which is about *uploads*, through.

        *joins*: it makes a final upload of them. Raises RefusedByHookError, HookUnavailableError,
        HookFailedError.
        """
        key = self._key(head, uploads)
        known = self._known.get(key)
        if known is None or known.until <= self._clock():
            known = await self._ask(head, uploads, joins=joins)
            self._remember(key, known)
        if known.refusal is not None:
            raise known.refusal.with_traceback(None)

    async def _ask(self, head: RequestHead, uploads: Sequence[UploadId], *, joins: bool) -> _Known:
        upload = HookUpload(id=uploads[0] if uploads and not joins else "", is_final=joins)
        if head.permit is not None:
            upload.owner = head.permit.subject
        if joins:
            upload.partial_uploads = list(uploads)
        occasion = HookOccasion(upload=upload, http_request=describe_request(head))
        request = HookRequest(type=HookEvent.PRE_ACCESS.value, event=occasion)
        said = await self._asking.ask(HookEvent.PRE_ACCESS, request)
        refusal = _refusal(said)
        told = [each.cache_ttl for each in said if each.cache_ttl is not None]
        ttl_s = min(told) if told else self._ttl_s if refusal is None else 0.0
        seconds = min(ttl_s, _LONGEST_S) if ttl_s > 0 else 0.0  # not a number is no time either
        return _Known(self._clock() + seconds, refusal)

    def _remember(self, key: bytes, known: _Known) -> None:
        if known.until <= self._clock():
            self._known.pop(key, None)
            return
        self._known[key] = known
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _key(self, head: RequestHead, uploads: Sequence[UploadId]) -> bytes:
        parts = [
            describe_request(head).method,
            head.path if not uploads else "",
            *uploads,
            "",
            head.query,
            head.peer.address.rpartition(":")[0],
            head.peer.name,
            *_bearer(head),
            *(head.headers.get(name, "\0") for name in self._fields),
        ]
        # A hash: nothing that could be used is kept in memory longer than the request.
        return hashlib.blake2b("\n".join(parts).encode("utf-8", "surrogatepass")).digest()


def _bearer(head: RequestHead) -> tuple[str, ...]:
    """Return whom the token is for, which may have come in the query: that is taken away by now."""
    return () if head.permit is None else (head.permit.subject, head.permit.token_id)


def _refusal(said: Sequence[HookResponse]) -> RefusedByHookError | None:
    answer = merge(answer_of(each) for each in said)
    rejected = any(each.reject_access for each in said)
    if not rejected and answer.status < 400:
        return None
    return RefusedByHookError(
        "the request is refused",
        answer_status=answer.status if answer.status >= 400 else 0,
        answer_body=answer.body,
        answer_fields=answer.fields,
    )
