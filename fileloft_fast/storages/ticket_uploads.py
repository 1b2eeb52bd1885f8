"""Uploads that a ticket began, by tus or the IETF's protocol: an object comes in pieces."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.errors import (
    FileloftError,
    ForbiddenError,
    MethodNotAllowedError,
    TicketError,
    UnsupportedCodingError,
    UploadNotFoundError,
)
from fileloft_fast.model import Capability, Permit, Response
from fileloft_fast.resumable.plan import claim
from fileloft_fast.storages.arriving import conditional
from fileloft_fast.tus.effects import IDENTITY, Append, Create, Inspect, Terminate
from fileloft_fast.tus.headers import parse_coding
from fileloft_fast.uploads.resuming import ResumingService

if TYPE_CHECKING:
    from fileloft_fast.model import Body, RequestHead, UploadId, UploadInfo
    from fileloft_fast.storages.entry import Wish
    from fileloft_fast.storages.named import NamedStorage
    from fileloft_fast.stores import Found
    from fileloft_fast.tus.plan import AppendPlan
    from fileloft_fast.uploads.locks import Hold

CAPABILITIES: Final = frozenset(Capability) - {
    Capability.CONCATENATION,
    Capability.DOWNLOAD,
}
"""A ticket makes one object: nothing is put together of several, and GET is for objects."""


class TicketUploads(ResumingService):
    """A ``Service`` for uploads below ``/v1/uploads/NAME/``; whoever knows an id may go on with it.

    When the last byte has come, the object waits to be verified, as any other with a ticket.
    """

    _storage: NamedStorage

    def serve(self, storage: NamedStorage) -> None:
        """Serve uploads into *storage*; called before the first request."""
        self._storage = storage

    def options(self, head: RequestHead) -> Response:
        """Answer OPTIONS at the URL of a ticket: what can be begun there."""
        return self._answers.options(replace(head, path=self._rules.base_path))

    async def begin(self, head: RequestHead, body: Body, wish: Wish) -> Response:
        """Answer a creation at the URL of a ticket; every refusal is a Response."""
        head = _bounded(replace(head, path=self._rules.base_path), wish)
        is_tus = claim(head, self._resumable) is None
        try:
            # By the IETF's protocol it is a PUT like any other, whose conditions count.
            with nullcontext(wish) if is_tus else conditional(head, wish) as wanted:
                return await self._begin_for(head, body, wanted)
        except FileloftError as error:
            return self.failed(error, head)

    async def _begin_for(self, head: RequestHead, body: Body, wish: Wish) -> Response:
        await self._storage.foresee(wish)
        wanted = self._plan(head, self._rules_for(head))
        if not isinstance(wanted, Create):
            raise MethodNotAllowedError("PUT, POST, OPTIONS")
        if wanted.resumption is not None and _is_coded(head):
            raise UnsupportedCodingError("an object in pieces comes without Content-Encoding")
        await self._check_space(head)
        if not wish.content_type:
            kind = wanted.metadata.value("filetype") or b""
            wish = replace(wish, content_type=kind.decode("latin-1"))
        info = replace(self._draft(head, wanted), path=wish.path)
        try:
            await self._storage.catalogue.remember(self._storage.name, info.id, wish)
            made = await self._make(head, info, wanted, body)
        except BaseException:  # a client that went away, too: its ticket begins few
            await self._forget_unmade(info.id)
            raise
        await self._finish(made, wish)
        return self._answers.created(head, made)

    async def _forget_unmade(self, upload: UploadId) -> None:
        try:
            await self._store.load(upload)
        except UploadNotFoundError:
            self._storage.catalogue.forget(self._storage.name, upload)

    async def _create(self, head: RequestHead, wanted: Create, body: Body) -> Response:  # noqa: ARG002 - see Service
        raise TicketError("an upload is begun at the URL of a ticket")

    async def _inspect(self, head: RequestHead, wanted: Inspect, body: Body) -> Response:
        wish, _ = await self._wished(wanted.id)
        return await super()._inspect(_bounded(head, wish), wanted, body)

    async def _append(self, head: RequestHead, wanted: Append, body: Body) -> Response:
        wish, _ = await self._wished(wanted.id)
        return await super()._append(_bounded(head, wish), wanted, body)

    async def _add(  # noqa: PLR0913, PLR0917 - see Service
        self,
        head: RequestHead,
        found: Found,
        wanted: Append,
        planned: AppendPlan,
        body: Body,
        hold: Hold,
    ) -> UploadInfo:
        info = await super()._add(head, found, wanted, planned, body, hold)
        await self._finish(info)
        return info

    async def _look(self, head: RequestHead, upload: UploadId) -> Found:
        found = await super()._look(head, upload)
        if not found.info.complete or (await self._wished(upload))[1]:
            return found
        # All there, and nobody was told that it is: a crash, or a catalogue that was busy.
        async with self._locks.hold(upload):  # or it is deleted between the look and the row
            found = await self._load(head, upload)
            await self._finish(found.info)
        return found

    async def _terminate(self, head: RequestHead, wanted: Terminate, _body: Body) -> Response:
        async with self._locks.hold(wanted.id):
            await self._load(head, wanted.id)
            _, done = await self._wished(wanted.id)
            if done:
                raise ForbiddenError("the upload is an object by now")
            await self._remove(wanted.id)
        return self._answers.terminated(head)

    async def _remove(self, upload: UploadId) -> None:
        await super()._remove(upload)
        self._storage.catalogue.forget(self._storage.name, upload)

    async def _load(self, head: RequestHead, upload: UploadId) -> Found:
        found = await super()._load(head, upload)
        await self._wished(upload)  # what else lies in the folder is nobody's to see
        return found

    async def _wished(self, upload: UploadId) -> tuple[Wish, bool]:
        known = await self._storage.catalogue.wish(self._storage.name, upload)
        if known is None:
            raise UploadNotFoundError("no such upload")
        return known

    async def _finish(self, info: UploadInfo, wish: Wish | None = None) -> None:
        if not info.complete:
            return
        known, done = (wish, False) if wish is not None else await self._wished(info.id)
        if not done:
            await self._storage.finish(known, info)


def _is_coded(head: RequestHead) -> bool:
    """Return whether the body would have to be decoded, which cannot be done piece by piece."""
    return parse_coding(head.headers.get("content-encoding")) is not IDENTITY


def _bounded(head: RequestHead, wish: Wish) -> RequestHead:
    """Return *head* with what its ticket allows."""
    permit = Permit(subject="", operations=frozenset(), expires_at=math.inf, max_size=wish.max_size)
    return replace(head, permit=permit)
