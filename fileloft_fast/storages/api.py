"""The app server's side, ``/v1/``: tickets, verification, and objects by key."""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

import msgspec

from fileloft_fast.errors import (
    FileloftError,
    InvalidRequestError,
    MethodNotAllowedError,
    NoSuchObjectError,
    PreconditionFailedError,
    UnauthorizedError,
    UploadNotFoundError,
)
from fileloft_fast.errors.base import code_of
from fileloft_fast.model import Response
from fileloft_fast.storages.addresses import TICKET, base_url, public_url, split_path
from fileloft_fast.storages.arriving import take_whole
from fileloft_fast.storages.conditions import must_be_absent
from fileloft_fast.storages.description import describe_upload, object_url
from fileloft_fast.storages.entry import Wish
from fileloft_fast.storages.showing import shown
from fileloft_fast.storages.ticket import Ticket, sign_ticket
from fileloft_fast.storages.wire import (
    Failure,
    Listed,
    Listing,
    PlaceRequest,
    TicketRequest,
    Url,
    UrlRequest,
    Verified,
    read_request,
)
from fileloft_fast.uploads.failing import after_failure

if TYPE_CHECKING:
    from fileloft_fast.model import Body, RequestHead
    from fileloft_fast.storages.entry import Entry
    from fileloft_fast.storages.named import NamedStorage, Storages
    from fileloft_fast.storages.ticket_uploads import TicketUploads
    from fileloft_fast.tus.responses import Answers
    from fileloft_fast.tus.rules import TusRules

ROOM: Final = "v1"
UPLOADS: Final = "/v1/uploads/"
"""Below this and the name of a storage are uploads that tickets began."""
_OBJECTS: Final = "/v1/objects/"
_COMMON: Final = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
_JSON: Final = (("Content-Type", "application/json"),)
_MOST_LISTED: Final = 1000

_Call = Callable[["RequestHead", "Body"], Awaitable[Response]]
_ObjectCall = Callable[["NamedStorage", str, "RequestHead", "Body"], Awaitable[Response]]


class Limits(msgspec.Struct, frozen=True):
    """What a ticket gets that says nothing: seconds, and bytes (0 for no bound)."""

    ticket_ttl_s: int
    ticket_max_size: int


class Api:
    """An ``Answerer`` for everything below ``/v1/``; *keys* let app servers in, the first signs.

    *uploads* in pieces, by the name of their storage, need no key: a ticket began them.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the composition root hands every part in
        self,
        storages: Storages,
        keys: Sequence[str],
        uploads: Mapping[str, TicketUploads],
        answers: Answers,
        rules: TusRules,
        limits: Limits,
    ) -> None:
        self._storages = storages
        self._keys = tuple(key.encode() for key in keys)
        self._secret = keys[0]
        self._uploads = uploads
        self._answers = answers
        self._rules = rules
        self._limits = limits
        self._calls: dict[str, _Call] = {
            "/v1/tickets": self._describe,
            "/v1/verify": self._verify,
            "/v1/urls": self._tell_url,
        }
        self._on_object: dict[str, _ObjectCall] = {
            "GET": self._retrieve,
            "HEAD": self._retrieve,
            "PUT": self._store,
            "DELETE": self._delete,
        }

    async def answer(self, head: RequestHead, body: Body) -> Response:
        """Serve one request; every refusal is a Response."""
        if head.path.startswith(UPLOADS):
            name = head.path.removeprefix(UPLOADS).partition("/")[0]
            uploads = self._uploads.get(name)
            if uploads is not None:
                return await uploads.answer(head, body)
        try:
            self._check_key(head)
            return await self._serve(head, body)
        except FileloftError as error:
            return self.failed(error, head)

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Return the answer for *error*: JSON, with the status and fields that it has anyway."""
        plain = after_failure(error, self._answers.failed(error, head))
        code = code_of(error)
        assert isinstance(plain.body, bytes)
        message = plain.body.decode().partition(": ")[2].rstrip("\n")
        own = tuple(field for field in plain.own if field[0] != "Content-Type")
        return msgspec.structs.replace(
            plain,
            own=(*own, *_JSON),
            common=_COMMON,
            body=msgspec.json.encode(Failure(code, message)) + b"\n",
        )

    def _check_key(self, head: RequestHead) -> None:
        """Raise UnauthorizedError unless an app server's key is there; in constant time."""
        scheme, _, said = head.headers.get("authorization", "").partition(" ")
        given = said.strip().encode()
        fits = [hmac.compare_digest(given, key) for key in self._keys]
        if scheme.lower() != "bearer" or not any(fits):
            raise UnauthorizedError("no valid key")

    async def _serve(self, head: RequestHead, body: Body) -> Response:
        call = self._calls.get(head.path)
        if call is not None:
            if head.method != "POST":
                raise MethodNotAllowedError("POST")
            return await call(head, body)
        if not head.path.startswith(_OBJECTS):
            raise UploadNotFoundError("nothing is here")
        name, path = split_path(head.path.removeprefix(_OBJECTS))
        storage = self._storages.named(name)
        if not path:
            if head.method != "GET":
                raise MethodNotAllowedError("GET")
            return await self._list(storage, head)
        storage.check_path(path)
        serve = self._on_object.get(head.method)
        if serve is None:
            raise MethodNotAllowedError(", ".join(self._on_object))
        return await serve(storage, path, head, body)

    # -- calls ----------------------------------------------------------------------------------

    async def _describe(self, head: RequestHead, body: Body) -> Response:
        request = await read_request(body, TicketRequest)
        storage = self._storages.named(request.storage)
        storage.check_path(request.path)
        wanted = self._limits.ticket_max_size if request.max_size is None else request.max_size
        ticket = Ticket(
            kind="put",
            storage=storage.name,
            path=request.path,
            expires_at=int(time.time()) + (request.expires_in or self._limits.ticket_ttl_s),
            max_size=storage.largest(wanted),
            overwrite=request.overwrite,
            content_type=request.content_type,
        )
        description = describe_upload(
            base_url(head, self._rules),
            ticket,
            sign_ticket(self._secret, ticket),
            kind=request.type,
            method=request.method,
            file_name=request.file_name or None,
        )
        return _said(description)

    async def _verify(self, _head: RequestHead, body: Body) -> Response:
        request = await read_request(body, PlaceRequest)
        storage = self._storages.named(request.storage)
        return _said(Verified(await storage.verify(storage.check_path(request.path))))

    async def _tell_url(self, head: RequestHead, body: Body) -> Response:
        request = await read_request(body, UrlRequest)
        storage = self._storages.named(request.storage)
        path = storage.check_path(request.path)
        if not (request.signed or storage.settings.public) or await storage.look(path) is None:
            return _said(Url(None))
        base = base_url(head, self._rules)
        if not request.signed:
            return _said(Url(public_url(base, storage, path)))
        ticket = Ticket(
            kind="get",
            storage=storage.name,
            path=path,
            expires_at=int(time.time()) + request.expires_in,
        )
        url = object_url(base, storage.name, path)
        return _said(Url(f"{url}?{TICKET}={sign_ticket(self._secret, ticket)}"))

    # -- objects --------------------------------------------------------------------------------

    async def _retrieve(
        self, storage: NamedStorage, path: str, head: RequestHead, _body: Body
    ) -> Response:
        return await shown(storage, path, head, _COMMON)

    async def _store(
        self, storage: NamedStorage, path: str, head: RequestHead, body: Body
    ) -> Response:
        wish = Wish(
            path=path,
            max_size=storage.largest(),
            overwrite=_flag(head, "overwrite", default=True),
            content_type="",  # the request says it
        )
        return _said(_listed(await take_whole(storage, wish, head, body)))

    async def _delete(
        self, storage: NamedStorage, path: str, head: RequestHead, _body: Body
    ) -> Response:
        if must_be_absent(head):
            raise PreconditionFailedError("nothing can be deleted where nothing may be")
        if not await storage.delete(path):
            raise NoSuchObjectError("no such object")
        return Response(204, common=_COMMON)

    async def _list(self, storage: NamedStorage, head: RequestHead) -> Response:
        query = parse_qs(head.query)
        limit = query.get("limit", [str(_MOST_LISTED)])[-1]
        if not (len(limit) <= 6 and limit.isascii() and 1 <= _number(limit) <= _MOST_LISTED):
            raise InvalidRequestError(f"limit must be from 1 to {_MOST_LISTED}")
        prefix, after = query.get("prefix", [""])[-1], query.get("after", [""])[-1]
        found: list[Listed] = []
        async for entry in storage.entries(prefix, after):
            if len(found) == int(limit):
                return _said(Listing(found, found[-1].path))
            found.append(_listed(entry))
        return _said(Listing(found, None))


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _listed(entry: Entry) -> Listed:
    return Listed(entry.path, entry.size, entry.etag, entry.content_type, entry.modified_at)


def _flag(head: RequestHead, name: str, *, default: bool) -> bool:
    """Return the switch *name* of the query. Raises InvalidRequestError."""
    values = parse_qs(head.query).get(name)
    if values is None:
        return default
    if values[-1] not in {"0", "1"}:
        raise InvalidRequestError(f"{name} must be 0 or 1")
    return values[-1] == "1"


def _said(value: msgspec.Struct) -> Response:
    return Response(200, _JSON, msgspec.json.encode(value) + b"\n", common=_COMMON)
