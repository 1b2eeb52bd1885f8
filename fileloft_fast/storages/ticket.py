"""A ticket: what whoever has its token may do once, signed, so that no list of tickets is needed.

The token is ``payload.signature``. The payload is JSON in base64url without padding; the signature
is HMAC-SHA256 over the payload as it stands in the token, in base64url too. Its key is derived from
the secret, so that what else is signed with the secret is no ticket.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets as randomness
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

from msgspec import Meta, MsgspecError, Struct, field
from msgspec.json import Decoder, encode

from fileloft_fast.errors import (
    InvalidPathError,
    InvalidTicketError,
    TicketError,
    TicketExpiredError,
)
from fileloft_fast.storages.paths import check_path

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_TOKEN_BYTES: Final = 4096
_PURPOSE: Final = b"fileloft-fast/ticket/1"
_NOT_OURS: Final = "no ticket of this server"

Whole: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Name: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", max_length=64)]
# It becomes a header field of every answer with the object.
ContentType: TypeAlias = Annotated[str, Meta(pattern=r"^[\x20-\x7e]*\Z", max_length=255)]
Nonce: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]


def new_nonce() -> str:
    """Return 128 random bits, as hexadecimal digits."""
    return randomness.token_hex(16)


class Ticket(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """To put one object at a path, or to get it, until a time.

    ``max_size``, ``overwrite`` and ``content_type``, which is empty where none is given, are about
    what is put. ``nonce`` tells tickets for the same apart. Nothing is checked before
    ``sign_ticket``.
    """

    version: Literal[1] = field(default=1, name="v")
    kind: Literal["put", "get"] = field(name="k")
    storage: Name = field(name="s")
    path: str = field(name="p")
    expires_at: Whole = field(name="e")  # in seconds since 1970
    nonce: Nonce = field(default_factory=new_nonce, name="n")
    max_size: Whole = field(default=0, name="m")
    overwrite: bool = field(default=True, name="o")
    content_type: ContentType = field(default="", name="t")


_DECODER: Final = Decoder(Ticket)


def sign_ticket(secret: str, ticket: Ticket) -> str:
    """Return the token of *ticket*. Raises InvalidPathError, InvalidTicketError."""
    payload = encode(ticket)
    _ticket_of(payload)
    part = _text_of(payload)
    token = f"{part}.{_signature(secret, part)}"
    if len(token) > LONGEST_TOKEN_BYTES:
        raise InvalidTicketError("the ticket is too long")
    return token


def read_ticket(token: str, secrets: Sequence[str], now: float) -> Ticket:
    """Return the ticket of *token*, if any of *secrets* has signed it and *now* is before its end.

    Takes as long for one forgery as for another. Raises TicketError, TicketExpiredError.
    """
    if len(token) > LONGEST_TOKEN_BYTES or not token.isascii():
        raise TicketError(_NOT_OURS)
    part, _, signature = token.partition(".")
    # Each secret is tried, also after one that fits: the time tells nothing of their order. The
    # text of the signature is compared, since base64 has several texts for the same bytes.
    fits = [hmac.compare_digest(_signature(secret, part), signature) for secret in secrets]
    if not any(fits):
        raise TicketError(_NOT_OURS)
    try:
        ticket = _ticket_of(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, InvalidPathError, InvalidTicketError) as error:
        raise TicketError("the ticket is one of another version of this server") from error
    if now >= ticket.expires_at:
        raise TicketExpiredError("the ticket has expired")
    return ticket


def _ticket_of(payload: bytes) -> Ticket:
    try:
        ticket = _DECODER.decode(payload)
    except MsgspecError as error:
        raise InvalidTicketError(str(error)) from error
    # Whether the storage takes relaxed paths is known to who signs; nothing else ever is a path.
    check_path(ticket.path, relaxed=True)
    return ticket


def _signature(secret: str, part: str) -> str:
    key = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)
    return _text_of(hmac.digest(key, part.encode(), hashlib.sha256))


def _text_of(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
