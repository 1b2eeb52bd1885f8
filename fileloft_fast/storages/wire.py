"""What the storages' API takes and gives, as values: JSON in, JSON out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import msgspec

from fileloft_fast.errors import InvalidRequestError, TooLargeError

if TYPE_CHECKING:
    from fileloft_fast.model import Body

T = TypeVar("T", bound=msgspec.Struct)

MOST_BODY_BYTES: Final = 64 * 1024
LONGEST_TICKET_S: Final = 7 * 24 * 3600

_Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Seconds = Annotated[int, msgspec.Meta(ge=1, le=LONGEST_TICKET_S)]
_Type = Annotated[str, msgspec.Meta(pattern=r"^[ -~]*\Z", max_length=255)]


class TicketRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /v1/tickets``: what the ticket is to be for; unset, the settings say how much."""

    storage: str
    path: str
    max_size: _Size | None = None
    expires_in: _Seconds | None = None
    overwrite: bool = True
    content_type: _Type = ""
    type: Literal["binary", "multipart"] = "binary"
    method: Literal["PUT", "POST"] = "PUT"
    file_name: Annotated[str, msgspec.Meta(max_length=255)] = ""


class PlaceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /v1/verify``."""

    storage: str
    path: str


class UrlRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /v1/urls``."""

    storage: str
    path: str
    signed: bool = False
    expires_in: _Seconds = 3600


class Verified(msgspec.Struct, frozen=True):
    """The answer to ``POST /v1/verify``."""

    verified: bool


class Url(msgspec.Struct, frozen=True):
    """The answer to ``POST /v1/urls``."""

    url: str | None


class Listed(msgspec.Struct, frozen=True):
    """One object, as ``PUT`` and a listing tell of it."""

    path: str
    size: int
    etag: str
    content_type: str
    modified_at: float


class Listing(msgspec.Struct, frozen=True):
    """One page of a listing; ``next`` is what to ask after for more."""

    objects: list[Listed]
    next: str | None


class Failure(msgspec.Struct, frozen=True):
    """What every refusal says."""

    error: str
    message: str


async def read_request(body: Body, kind: type[T]) -> T:
    """Return the JSON of *body*. Raises InvalidRequestError, TooLargeError."""
    text = b""
    while piece := await body.read():
        text += piece
        if len(text) > MOST_BODY_BYTES:
            raise TooLargeError("the body of a request to the API is short")
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequestError(str(error)) from error
