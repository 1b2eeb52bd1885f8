"""What crosses the JSON API: an object's resource, lists, errors, checksums, paths. No I/O."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from fileloft_fast.errors import RemoteUnavailableError
from fileloft_fast.stores.remote.objects import ObjectHead

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.objects import Attributes, Condition

_MESSAGE_CHARACTERS: Final = 200
_T = TypeVar("_T")


class Resource(Struct, frozen=True):
    """What Google says of an object; numbers come as text."""

    name: str
    size: int = 0
    generation: str = ""
    crc32c: str = ""
    metadata: Mapping[str, str] | None = None


class Listing(Struct, frozen=True, rename="camel"):
    """A page of a list."""

    items: tuple[Resource, ...] = ()
    next_page_token: str = ""


class _Problem(Struct, frozen=True):
    message: str = ""


class _Failure(Struct, frozen=True):
    error: _Problem


_is_xml_failure: Final = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<Error>").match


def render_resource(
    attributes: Attributes, *, name: str | None = None, crc32c: int | None = None
) -> bytes:
    """Return the JSON that an object is stored with; Google compares the checksum, if any."""
    told: dict[str, object] = {
        "contentType": attributes.content_type,
        "contentDisposition": attributes.disposition,
        "contentEncoding": attributes.encoding,
        "metadata": dict(attributes.metadata),
        "name": name,
        "crc32c": None if crc32c is None else render_crc32c(crc32c),
    }
    return msgspec.json.encode({key: value for key, value in told.items() if value})


def parse_head(body: bytes) -> ObjectHead:
    """Return what a resource says of an object. Raises RemoteUnavailableError."""
    resource = _parse(body, Resource)
    return ObjectHead(
        key=resource.name,
        size=resource.size,
        tag=resource.generation,
        metadata=resource.metadata or {},
        crc32c=parse_crc32c(resource.crc32c),
    )


def parse_listing(body: bytes) -> Listing:
    """Return a page of a list. Raises RemoteUnavailableError."""
    return _parse(body, Listing)


def parse_message(body: bytes) -> str:
    """Return what an error answer says, for an operator; one line, "" where it says nothing."""
    try:
        message = msgspec.json.decode(body, type=_Failure).error.message
    except msgspec.MsgspecError:
        message = body.decode("ascii", "replace")  # a proxy's page, or one line of text
    return " ".join(message.split())[:_MESSAGE_CHARACTERS]


def is_failure(body: bytes) -> bool:
    """Whether an error answer is of the form that Google's have."""
    try:
        msgspec.json.decode(body, type=_Failure)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _is_xml_failure(body) is not None
    return True


def render_crc32c(crc32c: int) -> str:
    """Return a checksum as Google writes it: base64, most significant byte first."""
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode()


def parse_crc32c(text: str) -> int | None:
    """Return a checksum that Google wrote, None where it is none."""
    try:
        return int.from_bytes(base64.b64decode(text, validate=True), "big") if text else None
    except binascii.Error:
        return None


def object_path(bucket: str, key: str) -> str:
    """Return the path of an object in the JSON API, behind ``/storage/v1``."""
    return f"/b/{quote(bucket, safe='')}/o/{quote(key, safe='')}"


def render_query(**pairs: str | None) -> str:
    """Return a query string of the *pairs* that have a value."""
    return "&".join(
        f"{name}={quote(value, safe='')}" for name, value in pairs.items() if value is not None
    )


def render_condition(condition: Condition | None) -> str | None:
    """Return the value of ``ifGenerationMatch``; generation 0 is an object that is not there."""
    return None if condition is None else condition.tag or "0"


def _parse(body: bytes, type_: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=type_, strict=False)
    except msgspec.MsgspecError as error:
        # A gateway's page under a status of success; Google itself does not do that.
        raise RemoteUnavailableError(f"an answer that is not Google's: {error}") from error
