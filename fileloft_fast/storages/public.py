"""Objects at their URLs: shown to everybody or to whom a ticket lets, brought by tickets alone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.errors import (
    FileloftError,
    MethodNotAllowedError,
    TicketError,
    UnsupportedCodingError,
)
from fileloft_fast.model import Response
from fileloft_fast.resumable.plan import claim_creation
from fileloft_fast.storages.addresses import split_path, token_of
from fileloft_fast.storages.arriving import put_body, take_whole, typed
from fileloft_fast.storages.disposition import is_form
from fileloft_fast.storages.entry import Wish
from fileloft_fast.storages.form_file import FormFile
from fileloft_fast.storages.showing import shown
from fileloft_fast.storages.ticket import read_ticket
from fileloft_fast.tus.effects import IDENTITY
from fileloft_fast.tus.headers import parse_coding
from fileloft_fast.uploads.failing import after_failure

if TYPE_CHECKING:
    from fileloft_fast.model import Body, RequestHead
    from fileloft_fast.resumable.rules import ResumableRules
    from fileloft_fast.resumable.speaking import SpeakingAnswers
    from fileloft_fast.resumable.versions import Version
    from fileloft_fast.storages.entry import Entry
    from fileloft_fast.storages.named import NamedStorage, Storages
    from fileloft_fast.storages.ticket import Ticket
    from fileloft_fast.storages.ticket_uploads import TicketUploads

METHODS: Final = "GET, HEAD, PUT, POST, OPTIONS"
_PREFLIGHT: Final = ("Access-Control-Allow-Methods", METHODS)
_PRIVATE: Final = (("Cache-Control", "private, no-store"),)


class PublicObjects:
    """An ``Answerer`` for ``/NAME/PATH``. *secrets* are those that sign tickets.

    *uploads* in pieces, by the name of their storage. *answers* are this server's, as for tus, and
    go by ``claim_object``.
    """

    def __init__(
        self,
        storages: Storages,
        secrets: Sequence[str],
        uploads: Mapping[str, TicketUploads],
        answers: SpeakingAnswers,
    ) -> None:
        self._storages = storages
        self._secrets = secrets
        self._uploads = uploads
        self._answers = answers

    async def answer(self, head: RequestHead, body: Body) -> Response:
        """Serve one request; every refusal is a Response."""
        try:
            return await self._serve(head, body)
        except FileloftError as error:
            return self.failed(error, head)

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Return the answer for *error*; failing storage goes to the log."""
        return after_failure(error, self._answers.failed(error, head))

    async def _serve(self, head: RequestHead, body: Body) -> Response:
        if head.method == "OPTIONS":
            return self._preflight(head)
        name, path = split_path(head.path)
        storage = self._storages.named(name)
        storage.check_path(path)
        if head.method in {"GET", "HEAD"}:
            return await self._show(storage, path, head)
        if head.method not in {"PUT", "POST"}:
            raise MethodNotAllowedError(METHODS)
        ticket = self._ticket(head, "put", storage, path)
        wish = _wish(storage, ticket)
        if claim_object(head, self._answers.resumable) is not None or _is_tus(head):
            return await self._uploads[storage.name].begin(head, body, wish)
        return await self._take(storage, wish, head, body)

    def _preflight(self, head: RequestHead) -> Response:
        """Say what can be done with objects and, in pieces, with a ticket."""
        name = self._storages.named(split_path(head.path)[0]).name
        told = self._uploads[name].options(head)
        own = [field for field in told.own if field[0] != _PREFLIGHT[0]]
        if len(own) < len(told.own):
            own.append(_PREFLIGHT)
        return replace(told, own=(*own, ("Allow", METHODS)))

    async def _show(self, storage: NamedStorage, path: str, head: RequestHead) -> Response:
        if storage.settings.public:
            caching = (("Cache-Control", storage.settings.cache_control),)
        else:
            self._ticket(head, "get", storage, path)
            caching = _PRIVATE
        return await shown(storage, path, head, self._answers.fields(head, caching))

    def _ticket(self, head: RequestHead, kind: str, storage: NamedStorage, path: str) -> Ticket:
        """Return the ticket that *head* brings for just this. Raises TicketError."""
        token = token_of(head)
        if not token:
            raise TicketError("this needs a ticket")
        ticket = read_ticket(token, self._secrets, time.time())
        if (ticket.kind, ticket.storage, ticket.path) != (kind, storage.name, path):
            raise TicketError("the ticket is for something else")
        return ticket

    async def _take(
        self, storage: NamedStorage, wish: Wish, head: RequestHead, body: Body
    ) -> Response:
        """Receive a whole object, as Serverpod's FileUploader and curl send it: 204."""
        put = _put_form if is_form(head.headers.get("content-type", "")) else put_body
        await take_whole(storage, wish, head, body, put)
        return Response(204, common=self._answers.fields(head))


def claim_object(head: RequestHead, rules: ResumableRules) -> Version | None:
    """Return the version by which *head* begins an object in pieces; a form always comes whole."""
    if is_form(head.headers.get("content-type", "")):
        return None
    return claim_creation(head, rules)


def _is_tus(head: RequestHead) -> bool:
    return head.method == "POST" and "tus-resumable" in head.headers


async def _put_form(storage: NamedStorage, wish: Wish, head: RequestHead, body: Body) -> Entry:
    """Have the file in a form as the object."""
    if parse_coding(head.headers.get("content-encoding")) is not IDENTITY:
        raise UnsupportedCodingError("a form comes as it is, without Content-Encoding")
    form = FormFile(body, head.headers["content-type"])
    await storage.foresee(wish)
    start = await form.begin()
    return await storage.put(typed(wish, start.content_type), body, None, form=form)


def _wish(storage: NamedStorage, ticket: Ticket) -> Wish:
    return Wish(
        path=ticket.path,
        max_size=storage.largest(ticket.max_size),
        overwrite=ticket.overwrite,
        content_type=ticket.content_type,
        nonce=ticket.nonce,
        expires_at=ticket.expires_at,
    )
