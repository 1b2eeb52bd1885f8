"""A signature as a request has it, parsed and not believed: whose it is, and over what."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from fileloft_fast.s3front.codes import (
    AccessDeniedError,
    AuthorizationHeaderMalformedError,
    AuthorizationQueryParametersError,
    InvalidArgumentError,
    InvalidRequestError,
    InvalidTokenError,
    NotImplementedS3Error,
    S3Error,
)
from fileloft_fast.tus.headers import maybe_date

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead
    from fileloft_fast.s3front.target import Parameters

ALGORITHM: Final = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
STREAMING_UNSIGNED_TRAILER: Final = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
STREAMING_SIGNED: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_PAYLOADS: Final = frozenset(
    {STREAMING_UNSIGNED_TRAILER, STREAMING_SIGNED, STREAMING_SIGNED_TRAILER}
)
"""What ``x-amz-content-sha256`` says of an aws-chunked body; see ``chunks``."""

MAX_EXPIRES_S: Final = 7 * 24 * 3600
PAYLOAD_FIELD: Final = "x-amz-content-sha256"

_PARAMETERS: Final = frozenset(
    {f"X-Amz-{name}" for name in ("Credential", "Date", "Expires", "SignedHeaders", "Signature")}
)
_is_hash: Final = re.compile(r"[0-9a-f]{64}").fullmatch
_is_timestamp: Final = re.compile(r"\d{8}T\d{6}Z", re.ASCII).fullmatch
_is_region: Final = re.compile(r"[A-Za-z0-9_-]{0,64}").fullmatch
_is_name: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose key, for which day and region: what a credential says."""

    access_key: str
    date: str
    region: str

    @property
    def text(self) -> str:
        """The scope as it is signed; the service is always s3."""
        return f"{self.date}/{self.region}/s3/aws4_request"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of its signature; ``expires_s`` is None for one in the header."""

    scope: Scope
    timestamp: str
    signed_headers: tuple[str, ...]
    signature: str
    payload: str
    expires_s: int | None


def parse_claim(head: RequestHead, parameters: Parameters) -> Claim:
    """Return what *head*, with the *parameters* of its query, claims; raises S3Error."""
    header = head.headers.get("authorization")
    by_query = any(name == "X-Amz-Algorithm" for name, _ in parameters)
    if header is None:
        if by_query:
            return _parse_query_claim(head, parameters)
        raise AccessDeniedError
    if by_query:
        raise InvalidArgumentError("Only one of Authorization and X-Amz-Algorithm may be sent.")
    return _parse_header_claim(head, header)


def parse_timestamp(text: str) -> int | None:
    """Return the seconds since the epoch of ``20130524T000000Z``; None where it is none."""
    if not _is_timestamp(text):
        return None
    try:
        return timegm(datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timetuple())
    except ValueError:
        return None


def parse_scope(credential: str, timestamp: str, malformed: type[S3Error]) -> Scope:
    """Return what *credential* says; *malformed* is raised where that cannot be."""
    access_key, *scope = credential.rsplit("/", 4)
    if len(scope) != 4 or not access_key:
        raise malformed("The credential is not access key, date, region, s3 and aws4_request.")
    date, region, service, end = scope
    if service != "s3" or end != "aws4_request":
        raise malformed("The credential's scope does not end with s3/aws4_request.")
    if date != timestamp[:8]:
        raise malformed("The credential's date is not the date of the request.")
    if not _is_region(region):
        raise malformed("The credential's region is none.")
    return Scope(access_key, date, region)


def _parse_header_claim(head: RequestHead, header: str) -> Claim:
    algorithm, _, rest = header.partition(" ")
    if algorithm != ALGORITHM:
        raise InvalidArgumentError("The authorization type is not supported: use Signature V4.")
    pairs = [item.strip(" ").partition("=") for item in rest.split(",")]
    fields = {name: value for name, _, value in pairs}
    if len(pairs) != 3 or fields.keys() != {"Credential", "SignedHeaders", "Signature"}:
        raise AuthorizationHeaderMalformedError(
            "The authorization header must have Credential, SignedHeaders and Signature, once each."
        )
    timestamp = _header_timestamp(head.headers)
    payload = head.headers.get(PAYLOAD_FIELD)
    if payload is None:
        raise InvalidRequestError("x-amz-content-sha256 is needed.")
    return Claim(
        parse_scope(fields["Credential"], timestamp, AuthorizationHeaderMalformedError),
        timestamp,
        _parse_names(fields["SignedHeaders"], AuthorizationHeaderMalformedError),
        fields["Signature"],
        _checked_payload(payload),
        None,
    )


def _header_timestamp(headers: Mapping[str, str]) -> str:
    """Return ``x-amz-date``, else ``Date`` in the form that is signed."""
    timestamp = headers.get("x-amz-date")
    if timestamp is None and (seconds := maybe_date(headers.get("date", ""))) is not None:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%SZ}"
    if timestamp is None or parse_timestamp(timestamp) is None:
        raise AccessDeniedError("A signed request needs a valid x-amz-date or Date.")
    return timestamp


def _parse_query_claim(head: RequestHead, parameters: Parameters) -> Claim:
    fields = _signature_fields(parameters)
    if fields["X-Amz-Algorithm"] != ALGORITHM:
        raise AuthorizationQueryParametersError(f"X-Amz-Algorithm only supports {ALGORITHM}.")
    if not fields.keys() >= _PARAMETERS:
        raise AuthorizationQueryParametersError(
            "A presigned URL must have X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders and X-Amz-Expires."
        )
    if fields.get("X-Amz-Security-Token"):
        raise InvalidTokenError
    timestamp = fields["X-Amz-Date"]
    if parse_timestamp(timestamp) is None:
        raise AuthorizationQueryParametersError("X-Amz-Date is not like 20130524T000000Z.")
    # What the body must be is in the signed text, by whichever name: nobody can change it after.
    payload = fields.get("X-Amz-Content-Sha256", head.headers.get(PAYLOAD_FIELD, UNSIGNED_PAYLOAD))
    return Claim(
        parse_scope(fields["X-Amz-Credential"], timestamp, AuthorizationQueryParametersError),
        timestamp,
        _parse_names(fields["X-Amz-SignedHeaders"], AuthorizationQueryParametersError),
        fields["X-Amz-Signature"],
        _checked_payload(payload),
        _parse_expires(fields["X-Amz-Expires"]),
    )


def _signature_fields(parameters: Parameters) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in parameters:
        if name in fields:
            raise AuthorizationQueryParametersError(f"{name} comes twice.")
        if name.startswith("X-Amz-"):
            fields[name] = value
    return fields


def _parse_expires(text: str) -> int:
    if not (0 < len(text) <= 7 and text.isascii() and text.isdecimal()):
        raise AuthorizationQueryParametersError("X-Amz-Expires is not a number of seconds.")
    if not 1 <= int(text) <= MAX_EXPIRES_S:
        raise AuthorizationQueryParametersError("X-Amz-Expires is not from 1 to a week.")
    return int(text)


def _parse_names(text: str, malformed: type[S3Error]) -> tuple[str, ...]:
    names = tuple(text.split(";"))
    if "host" not in names or len({*names}) != len(names) or not all(map(_is_name, names)):
        raise malformed("SignedHeaders must have lower-case names, once each, and host.")
    return names


def _checked_payload(payload: str) -> str:
    if payload in STREAMING_PAYLOADS or payload == UNSIGNED_PAYLOAD or _is_hash(payload):
        return payload
    if payload.startswith("STREAMING-AWS4-ECDSA"):
        raise NotImplementedS3Error("Signature V4A is not implemented here.")
    raise InvalidArgumentError(
        f"x-amz-content-sha256 must be {UNSIGNED_PAYLOAD}, {', '.join(sorted(STREAMING_PAYLOADS))} "
        "or a valid sha256 value.",
        ArgumentName=PAYLOAD_FIELD,
        ArgumentValue=payload,
    )
