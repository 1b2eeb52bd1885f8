"""What the rest of the server asks of hooks: before something is done, and after it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING, Final, Self

from msgspec import Struct
from msgspec.structs import replace

from fileloft_fast.config import HookEvent
from fileloft_fast.errors import (
    FileloftError,
    HookFailedError,
    RefusedByHookError,
    TerminationRejectedError,
    UploadExistsError,
    UploadNotFoundError,
    UploadRejectedError,
)
from fileloft_fast.hooks.describe import describe, describe_upload, idempotency_key
from fileloft_fast.hooks.outbox.outbox import Draft
from fileloft_fast.hooks.verdict import answer_of, merge, new_id, new_metadata, new_path
from fileloft_fast.hooks.wire import parse_request, render_request
from fileloft_fast.model import AnswerChange, UploadId
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from types import TracebackType

    from fileloft_fast.hooks.access import Access
    from fileloft_fast.hooks.asking import Asking
    from fileloft_fast.hooks.describe import Places
    from fileloft_fast.hooks.outbox.outbox import Outbox
    from fileloft_fast.hooks.outbox.page import Item
    from fileloft_fast.hooks.progress import Progress
    from fileloft_fast.hooks.publisher import Publisher
    from fileloft_fast.hooks.sink import Sink
    from fileloft_fast.hooks.wire import HookChange, HookResponse
    from fileloft_fast.model import RequestHead, UploadInfo
    from fileloft_fast.stores import AnyStore, Found

log = logging.getLogger(__name__)

NO_CHANGE: Final = AnswerChange()

_FINISHED: Final = frozenset({HookEvent.POST_FINISH, HookEvent.STORED})


class Tools(Struct, frozen=True):
    """What ``Hooks`` is made of; *publisher* None where no other path can be had.

    *local*: a finished upload is where it is to be kept, so that it is stored, too.
    """

    sinks: Sequence[Sink]
    asking: Asking
    access: Access
    progress: Progress
    outbox: Outbox
    places: Places
    publisher: Publisher | None
    local: bool = True


class Hooks:
    """Asks and tells the hooks of *events*; all others cost nothing."""

    def __init__(self, events: frozenset[HookEvent], tools: Tools) -> None:
        self.events = events
        self._tools = tools
        self._store: AnyStore | None = None

    async def start(self, store: AnyStore) -> None:
        """Tell what was left to be told; *store* knows which of it came true."""
        self._store = store
        await self._tools.outbox.start(self._prove)

    def halt(self) -> None:
        """Let no request wait for a hook any longer."""
        self._tools.asking.halt()

    async def close(self) -> None:
        """End; what has not been told stays in the outbox."""
        self.halt()
        await self._tools.outbox.close()
        for sink in self._tools.sinks:
            await sink.close()

    # -- asked before ---------------------------------------------------------------------------

    async def admit(
        self, head: RequestHead, uploads: Sequence[UploadId], *, joins: bool = False
    ) -> None:
        """Ask whether *head* may be served. Raises RefusedByHookError and what ``Asking`` does."""
        await self._tools.access.check(head, uploads, joins=joins)

    async def pre_create(
        self, head: RequestHead, info: UploadInfo
    ) -> tuple[UploadInfo, AnswerChange]:
        """Return what is to be made of *info*, and what changes in the answer.

        Raises UploadRejectedError, UploadExistsError and what ``Asking`` does.
        """
        if HookEvent.PRE_CREATE not in self.events:
            return info, NO_CHANGE
        said = await self._ask(HookEvent.PRE_CREATE, head, info)
        with _complaining():
            answer = merge(answer_of(each) for each in said)
            if any(each.reject_upload for each in said):
                raise _refusal(UploadRejectedError, _REJECTED, answer)
            for each in said:
                if each.change_file_info is not None:
                    info = await self._changed(head, info, each.change_file_info)
        return info, answer

    async def pre_finish(self, head: RequestHead, info: UploadInfo) -> AnswerChange:
        """Return what changes in the answer that says that every byte is there."""
        if HookEvent.PRE_FINISH not in self.events:
            return NO_CHANGE
        said = await self._ask(HookEvent.PRE_FINISH, head, info)
        with _complaining():
            return merge(answer_of(each) for each in said)

    async def pre_terminate(self, head: RequestHead, info: UploadInfo) -> AnswerChange:
        """Return what changes in the answer. Raises TerminationRejectedError."""
        if HookEvent.PRE_TERMINATE not in self.events:
            return NO_CHANGE
        said = await self._ask(HookEvent.PRE_TERMINATE, head, info)
        with _complaining():
            answer = merge(answer_of(each) for each in said)
        if any(each.reject_termination for each in said):
            raise _refusal(TerminationRejectedError, _NOT_TERMINATED, answer)
        return answer

    @property
    def progress(self) -> Progress | None:
        """What tells of bytes as they come; None where nobody wants to hear of them."""
        return self._tools.progress if HookEvent.POST_RECEIVE in self.events else None

    # -- told after -----------------------------------------------------------------------------

    async def expecting(self, head: RequestHead, info: UploadInfo, *events: HookEvent) -> Expecting:
        """Write down that *events* of *info*, as it will be then, may come true in a moment."""
        outbox, places = self._tools.outbox, self._tools.places
        if HookEvent.POST_FINISH in events and self._tools.local:
            events = (*events, HookEvent.STORED)
        wanted = [event for event in events if event in self.events and outbox.wants(event)]
        drafts = [
            Draft(
                event,
                info.id,
                idempotency_key(event, info),
                render_request(describe(event, head, _as_of(event, info), places)).decode(),
            )
            for event in wanted
        ]
        return Expecting(self, info, await outbox.expect(*drafts) if drafts else [])

    async def stored(self, info: UploadInfo) -> None:
        """Tell that the object of *info* is in its store; written down when this returns."""
        event = HookEvent.STORED
        if event not in self.events or not self._tools.outbox.wants(event):
            return
        body = render_request(describe(event, None, info, self._tools.places)).decode()
        await self._tools.outbox.tell(Draft(event, info.id, idempotency_key(event, info), body))

    async def publish(self, info: UploadInfo) -> None:
        """Let finished bytes appear where a hook wants them. UploadExistsError, StoreError."""
        if info.path and self._tools.publisher is not None:
            await self._tools.publisher.publish(info)

    def confirm(self, item: Item, info: UploadInfo, *, differs: bool = False) -> None:
        """*item* came true; *differs*: *info* is not what was expected, or elsewhere."""
        self._tools.outbox.confirm(item, self._as_it_is(item, info) if differs else "")

    def drop(self, item: Item) -> None:
        """*item* did not come true."""
        self._tools.outbox.drop(item)

    def doubt(self, item: Item) -> None:
        """Nobody knows whether *item* came true."""
        self._tools.outbox.doubt(item)

    # -- inside ---------------------------------------------------------------------------------

    async def _ask(
        self, event: HookEvent, head: RequestHead, info: UploadInfo
    ) -> list[HookResponse]:
        request = describe(event, head, info, self._tools.places)
        return await self._tools.asking.ask(event, request)

    async def _changed(self, head: RequestHead, info: UploadInfo, change: HookChange) -> UploadInfo:
        """Return *info* as a hook wants it. Raises HookFailedError, UploadExistsError."""
        upload, metadata, path = new_id(change), new_metadata(change), new_path(change)
        if upload is not None:
            prefix = "" if head.permit is None else head.permit.prefix
            if prefix and not upload.startswith(f"{prefix}-"):
                # Whoever has made it could never see it: the token is about such ids alone.
                raise HookFailedError(f"ChangeFileInfo.ID: the client's token asks for {prefix}-…")
            await self._check_new(upload)
        if path:
            if self._tools.publisher is None:
                raise HookFailedError("ChangeFileInfo.Storage.Path: only with FILELOFT_BACKEND=fs")
            await self._tools.publisher.check_path(path)
        return replace(
            info,
            id=info.id if upload is None else upload,
            metadata=info.metadata if metadata is None else metadata,
            path=path or info.path,
        )

    async def _check_new(self, upload: UploadId) -> None:
        assert self._store is not None
        try:
            await self._store.load(upload)
        except UploadNotFoundError:
            return
        raise UploadExistsError("the id that a hook chose is taken")

    def _as_it_is(self, item: Item, info: UploadInfo) -> str:
        """Return *item*'s body, with what the upload has come to be, and where."""
        request = parse_request(item.body.encode())
        upload = describe_upload(info, self._tools.places)
        if item.event in _FINISHED:
            request.event.upload = upload
        else:
            request.event.upload.storage = upload.storage
        return render_request(request).decode()

    async def _prove(self, item: Item) -> str | None:
        """See ``outbox.Prove``."""
        assert self._store is not None
        is_removal = item.event is HookEvent.POST_TERMINATE
        try:
            found = await self._store.load(UploadId(item.upload))
            is_it = idempotency_key(item.event, found.info) == item.key  # or another has the id
            if is_removal or not is_it or (item.event in _FINISHED and not found.info.complete):
                return item.body if is_removal and not is_it else ""
            if item.event in _FINISHED:
                return await self._confirmed(item, found)
        except UploadNotFoundError:
            return item.body if is_removal else ""
        except FileloftError as error:
            log.info("event in doubt", extra=fields(id=item.upload, error=error))
            return None
        return item.body

    async def _confirmed(self, item: Item, found: Found) -> str:
        """Return what is to be told of an upload whose bytes are all where they are to be."""
        assert self._store is not None
        await self._store.confirm(found)
        return self._as_it_is(item, await self.published(found.info))

    async def published(self, info: UploadInfo) -> UploadInfo:
        """Publish, and return *info* without its path where the name is another's by now."""
        try:
            await self.publish(info)
        except UploadExistsError as error:
            log.error("upload not published", extra=fields(id=info.id, path=info.path, error=error))  # noqa: TRY400 - no trace
            return replace(info, path="")
        return info


class Expecting(AbstractAsyncContextManager["Expecting"]):
    """Events that may come true within the block; what is left open at its end is in doubt.

    They were written down with *info* as the upload would be then, as far as that was known.
    """

    def __init__(self, hooks: Hooks, info: UploadInfo, items: Sequence[Item]) -> None:
        self._hooks = hooks
        self._info = info
        self._open = list(items)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for item in self._open:
            self._hooks.doubt(item)
        self._open.clear()

    def settle(self, info: UploadInfo, *, moved: bool = False) -> None:
        """What was done is done, and *info* says how the upload is now; see ``Hooks.confirm``."""
        items, self._open = self._open, []
        # What only the last byte tells could not be written down before it came.
        told_late = bool(info.digests) or info.length != self._info.length
        for item in items:
            finished = item.event in _FINISHED
            if finished and not info.complete:
                self._hooks.drop(item)
            else:
                self._hooks.confirm(item, info, differs=moved or (finished and told_late))


_REJECTED: Final = "upload creation has been rejected by server"
_NOT_TERMINATED: Final = "upload termination has been rejected by server"


@contextmanager
def _complaining() -> Iterator[None]:
    """Say in the log what a hook wanted that cannot be done: the client is not told."""
    try:
        yield
    except (HookFailedError, UploadExistsError) as error:
        log.warning("hook's answer refused", extra=fields(error=error))
        raise


def _refusal(
    kind: type[RefusedByHookError], message: str, answer: AnswerChange
) -> RefusedByHookError:
    return kind(
        message,
        answer_status=answer.status,
        answer_body=answer.body,
        answer_fields=answer.fields,
    )


def _as_of(event: HookEvent, info: UploadInfo) -> UploadInfo:
    """Return *info* as it is when *event* has happened."""
    if event not in _FINISHED or info.length is None:
        return info
    return replace(info, offset=type(info.offset)(info.length), awaits_end=False)
