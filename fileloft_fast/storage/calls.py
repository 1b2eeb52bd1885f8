"""The HTTP API as values: what each call sends, and how its answer is read. No I/O.

Both clients are thin shells around this, one that waits and one that awaits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode, urlsplit

from msgspec import MsgspecError
from msgspec.json import Decoder, decode, encode

from fileloft_fast.storage.bodies import AsyncData, Body, body_of
from fileloft_fast.storage.failures import BadAnswerError, StorageError, read_failure
from fileloft_fast.storage.values import Page, StoredObject
from fileloft_fast.storages.description import Kind, Method, UploadDescription, parse_description
from fileloft_fast.storages.paths import check_path

Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_KEY: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")  # what a header field can carry
_PAGE: Final = Decoder(Page)
_OBJECT: Final = Decoder(StoredObject)
_JSON: Final = {"Content-Type": "application/json"}
_RANGE: Final = re.compile(r"bytes [0-9]+-[0-9]+/([0-9]+)")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose body was read; the names of *headers* are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Value_co]):
    """A request, and how its answer becomes a value.

    ``read`` raises StorageError. ``repeatable``: to do it twice is the same as to do it once.
    """

    method: str
    url: str
    read: Callable[[Reply], Value_co]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = b""
    repeatable: bool = True


class Calls:
    """The calls of one storage. Raises ValueError for what can be no URL, key or name."""

    def __init__(self, url: str, key: str, storage: str) -> None:
        _check_url(url)
        if not _NAME.fullmatch(storage):
            raise ValueError(f"{storage!r} is no name of a storage")
        if not _KEY.fullmatch(key):
            raise ValueError("a key is of ASCII that can be printed")
        self._base = f"{url.rstrip('/')}/v1"
        self._storage = storage
        self._key = {"Authorization": f"Bearer {key}"}

    def create_ticket(  # noqa: PLR0913 - the limits of a ticket, each by its name
        self,
        path: str,
        *,
        max_size: int | None,
        expires_in: int | None,
        overwrite: bool,
        content_type: str | None,
        kind: Kind,
        method: Method,
        file_name: str | None,
    ) -> Call[UploadDescription]:
        """Ask for a description; a ticket that nobody gets hurts nobody, so it may be repeated."""
        said = {
            "max_size": max_size,
            "expires_in": expires_in,
            "content_type": content_type,
            "file_name": file_name,
        }
        wanted = {
            "path": check_path(path, relaxed=True),
            "overwrite": overwrite,
            "type": kind,
            "method": method,
            **{name: value for name, value in said.items() if value is not None},
        }
        return self._post("tickets", wanted, lambda reply: _decoded(parse_description, reply))

    def verify(self, path: str) -> Call[bool]:
        """Ask whether an upload came; True once, so where it may have been said, not again."""
        wanted = {"path": check_path(path, relaxed=True)}
        return self._post(
            "verify", wanted, lambda reply: bool(_field(reply, "verified")), once=True
        )

    def exists(self, path: str) -> Call[bool]:
        """Ask whether there is an object."""
        return self._about(path, "HEAD", _was_there)

    def stat(self, path: str) -> Call[StoredObject]:
        """Ask what an object is, without its bytes."""
        return self._about(path, "HEAD", lambda reply: described(path, _good(reply)))

    def retrieve(self, path: str) -> Call[bytes]:
        """Ask for an object."""
        return self._about(path, "GET", lambda reply: _good(reply).body)

    def read(self, path: str, start: int, length: int | None) -> Call[StoredObject]:
        """Ask for *length* bytes of an object from *start* on; None for all that are there.

        The value is what the answer's head says; the bytes are read beside it.
        """
        if start < 0 or (length is not None and length < 1):
            raise ValueError("a range begins at 0 or later, and has a byte or more")
        if start == 0 and length is None:
            return self._about(path, "GET", lambda reply: described(path, _good(reply)))
        end = "" if length is None else start + length - 1
        fields = {"Range": f"bytes={start}-{end}"}
        return self._about(path, "GET", lambda reply: described(path, _good(reply, 206)), fields)

    def store(
        self, path: str, data: AsyncData, *, content_type: str | None, overwrite: bool
    ) -> Call[StoredObject]:
        """Bring an object. Blocks on disk where *data* is a file."""
        return Call(
            method="PUT",
            url=self._object(path) + ("" if overwrite else "?overwrite=0"),
            headers=self._key | ({} if content_type is None else {"Content-Type": content_type}),
            body=body_of(data),
            read=lambda reply: _decoded(_OBJECT.decode, reply),
            # The second of two that do not overwrite is refused, although the first one did it.
            repeatable=overwrite,
        )

    def delete(self, path: str) -> Call[bool]:
        """Remove an object."""
        return self._about(path, "DELETE", _was_there)

    def page(self, prefix: str, after: str | None, limit: int | None) -> Call[Page]:
        """Ask for the objects whose path begins with *prefix* and comes after *after*."""
        wanted = {"prefix": prefix, "after": after or "", "limit": str(limit or "")}
        query = urlencode({name: value for name, value in wanted.items() if value})
        return Call(
            method="GET",
            url=f"{self._base}/objects/{self._storage}" + (f"?{query}" if query else ""),
            headers=self._key,
            read=lambda reply: _decoded(_PAGE.decode, reply),
        )

    def public_url(self, path: str) -> Call[str | None]:
        """Ask where everybody can get an object."""
        wanted = {"path": check_path(path, relaxed=True)}
        return self._post("urls", wanted, _url)

    def signed_url(self, path: str, expires_in: int) -> Call[str | None]:
        """Ask for a URL that whoever has it can get the object by, for a while."""
        wanted = {
            "path": check_path(path, relaxed=True), "signed": True, "expires_in": expires_in
        }  # fmt: skip
        return self._post("urls", wanted, _url)

    def _object(self, path: str) -> str:
        # Checked here, too: what follows a "?" or "#" would not reach the server as a path.
        return f"{self._base}/objects/{self._storage}/{check_path(path, relaxed=True)}"

    def _about(
        self,
        path: str,
        method: str,
        read: Callable[[Reply], Value],
        headers: Mapping[str, str] | None = None,
    ) -> Call[Value]:
        fields = {**self._key, **(headers or {})}
        return Call(method=method, url=self._object(path), headers=fields, read=read)

    def _post(
        self,
        name: str,
        wanted: Mapping[str, Any],
        read: Callable[[Reply], Value],
        *,
        once: bool = False,
    ) -> Call[Value]:
        return Call(
            method="POST",
            url=f"{self._base}/{name}",
            headers=self._key | _JSON,
            body=encode({"storage": self._storage, **wanted}),
            read=read,
            repeatable=not once,
        )


def _check_url(url: str) -> None:
    """Raise ValueError for what can be no server's; a name in it would go before the key."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError("the URL of a storage server is http:// or https:// and its host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("the URL of a storage server has no name, no query and no fragment")


def described(path: str, reply: Reply) -> StoredObject:
    """Return what the head of *reply*, to a GET or HEAD of the object at *path*, says of it."""
    fields = reply.headers
    part = _RANGE.fullmatch(fields.get("content-range", ""))
    size = part[1] if part else fields.get("content-length", "")
    if not size.isdigit():
        raise BadAnswerError("the answer does not say how large the object is")
    return StoredObject(
        path=path,
        size=int(size),
        etag=fields.get("etag", "").strip('"'),
        content_type=fields.get("content-type", ""),
        modified_at=_seconds(fields.get("last-modified", "")),
    )


def _seconds(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError as error:
        raise BadAnswerError(f"{date!r} is no date of HTTP") from error


def _good(reply: Reply, status: int = 200) -> Reply:
    if reply.status != status:
        raise _failure(reply)
    return reply


def _was_there(reply: Reply) -> bool:
    if reply.status == 404:
        return False
    if reply.status not in {200, 204}:
        raise _failure(reply)
    return True


def _decoded(decoder: Callable[[bytes], Value], reply: Reply) -> Value:
    try:
        return decoder(_good(reply).body)
    except MsgspecError as error:
        raise BadAnswerError(f"the answer cannot be read: {error}", status=reply.status) from error


def _field(reply: Reply, name: str) -> Any:  # noqa: ANN401 - what JSON may hold
    told = _decoded(decode, reply)
    if not isinstance(told, dict) or name not in told:
        raise BadAnswerError(f"the answer does not say {name!r}", status=reply.status)
    return told[name]


def _url(reply: Reply) -> str | None:
    url = _field(reply, "url")
    return None if url is None else str(url)


def _failure(reply: Reply) -> StorageError:
    if reply.status < 400:
        return BadAnswerError(f"the server answers {reply.status}", status=reply.status)
    return read_failure(reply.status, reply.headers, reply.body)
