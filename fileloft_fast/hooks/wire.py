"""tusd's hook messages: the request that says what happens, and the response that may change it.

The JSON is that of tusd 2; ``RejectAccess`` and ``CacheTTL`` of a response are ours. What a hook
leaves out, sends as null or sends besides does not count.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from fileloft_fast.errors import HookFailedError

MAX_REPLY_BYTES: Final = 64 * 1024
"""A longer response is refused; tusd takes 5 KiB."""


class HookUpload(Struct, kw_only=True):
    """The upload that an event is about; ``id`` is "" before there is one.

    ``owner`` is ours: the subject whose it is, left out where nobody has to say who they are. So is
    ``digests``: what a complete upload hashes to, in hex, left out where it was not hashed.
    """

    id: str = field(name="ID", default="")
    size: int = field(name="Size", default=0)
    size_is_deferred: bool = field(name="SizeIsDeferred", default=False)
    offset: int = field(name="Offset", default=0)
    metadata: dict[str, str] = field(name="MetaData", default_factory=dict)
    is_partial: bool = field(name="IsPartial", default=False)
    is_final: bool = field(name="IsFinal", default=False)
    partial_uploads: list[str] | None = field(name="PartialUploads", default=None)
    storage: dict[str, str] | None = field(name="Storage", default=None)
    owner: str | UnsetType = field(name="Owner", default=UNSET)
    digests: dict[str, str] | UnsetType = field(name="Digests", default=UNSET)


class HookHttpRequest(Struct, kw_only=True):
    """The client's request; secrets in the query of ``uri`` are not told."""

    method: str = field(name="Method", default="")
    uri: str = field(name="URI", default="")
    remote_addr: str = field(name="RemoteAddr", default="")
    header: dict[str, list[str]] = field(name="Header", default_factory=dict)


class HookOccasion(Struct, kw_only=True):
    """What has happened, or is about to."""

    upload: HookUpload = field(name="Upload", default_factory=HookUpload)
    http_request: HookHttpRequest = field(name="HTTPRequest", default_factory=HookHttpRequest)


class HookRequest(Struct, kw_only=True):
    """What a hook is given; ``type`` is the event's name."""

    type: str = field(name="Type")
    event: HookOccasion = field(name="Event", default_factory=HookOccasion)


class HookHttpResponse(Struct, kw_only=True):
    """What the client is to be answered."""

    status_code: int | None = field(name="StatusCode", default=None)
    body: str | None = field(name="Body", default=None)
    header: dict[str, str] | None = field(name="Header", default=None)


class HookStorageChange(Struct, kw_only=True):
    """Where the finished bytes are to appear besides."""

    path: str | None = field(name="Path", default=None)


class HookChange(Struct, kw_only=True):
    """What a pre-create hook wants of the upload; ``metadata`` None keeps, {} clears."""

    id: str | None = field(name="ID", default=None)
    metadata: dict[str, str] | None = field(name="MetaData", default=None)
    storage: HookStorageChange | None = field(name="Storage", default=None)


class HookResponse(Struct, kw_only=True):
    """What a hook answers; everything may be left out."""

    http_response: HookHttpResponse | None = field(name="HTTPResponse", default=None)
    reject_upload: bool | None = field(name="RejectUpload", default=None)
    reject_termination: bool | None = field(name="RejectTermination", default=None)
    change_file_info: HookChange | None = field(name="ChangeFileInfo", default=None)
    stop_upload: bool | None = field(name="StopUpload", default=None)
    reject_access: bool | None = field(name="RejectAccess", default=None)
    cache_ttl: float | None = field(name="CacheTTL", default=None)


NOTHING_SAID: Final = HookResponse()

_NOT_JSON: Final = "the hook's answer is not tusd's JSON"

_ENCODER: Final = msgspec.json.Encoder()
_REQUESTS: Final = msgspec.json.Decoder(HookRequest)
_RESPONSES: Final = msgspec.json.Decoder(HookResponse)


def render_request(request: HookRequest) -> bytes:
    """Return the JSON of *request*, on one line."""
    return _ENCODER.encode(request)


def parse_request(text: bytes) -> HookRequest:
    """Return the request in *text*, which ``render_request`` made."""
    return _REQUESTS.decode(text)


def parse_response(text: bytes) -> HookResponse:
    """Return the response in *text*; nothing at all says nothing. Raises HookFailedError."""
    if not text.strip():
        return NOTHING_SAID
    if len(text) > MAX_REPLY_BYTES:
        raise too_long()
    try:
        return _RESPONSES.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HookFailedError(f"{_NOT_JSON}: {error}", delivered=True) from error


def too_long() -> HookFailedError:
    """Return the error for an answer that is longer than is read."""
    return HookFailedError(f"the answer is longer than {MAX_REPLY_BYTES} bytes", delivered=True)


def response_of(said: object) -> HookResponse:
    """Return what a Python hook has returned, as a response. Raises HookFailedError."""
    if said is None:
        return NOTHING_SAID
    if isinstance(said, HookResponse):
        return said
    try:
        return msgspec.convert(said, HookResponse)
    except msgspec.ValidationError as error:
        raise HookFailedError(f"{_NOT_JSON}: {error}", delivered=True) from error
