"""What a verified token says its bearer may do: claims in, a ``Permit`` out."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from fileloft_fast.model import (
    ID_PREFIX_PATTERN,
    UPLOAD_ID_PATTERN,
    Operation,
    Permit,
    Quota,
)

CLAIM: Final = "fileloft"
"""The claim whose object holds everything that is ours, in grants and in other tokens alike."""

GRANT_TYPE: Final = "fileloft-grant+jwt"
"""The header ``typ`` of grants: no other token has it, and no grant another one (RFC 8725 3.11)."""

GRANT_AUDIENCE: Final = "fileloft-fast/grant"

OWN: Final = frozenset(Operation) - {Operation.ADMIN}
"""What a token allows that names no operations: everything, with uploads of its subject."""

_LARGEST: Final = 2**63 - 1
LONGEST_SUBJECT: Final = 255
_Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
_Positive = Annotated[int, msgspec.Meta(ge=1, le=_LARGEST)]
_Rate = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
_Prefix = Annotated[str, msgspec.Meta(pattern=rf"\A(?:{ID_PREFIX_PATTERN})\Z")]
_Upload = Annotated[str, msgspec.Meta(pattern=rf"\A(?:{UPLOAD_ID_PATTERN})\Z")]
_Subject = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_SUBJECT)]
_TokenId = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_SUBJECT)]


class Limits(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The object of ``CLAIM``. A limit that this version does not know makes a token invalid.

    ``None`` is no limit, and for the quotas what the server's settings say.
    """

    ops: tuple[Operation, ...] | None = None
    max_size: _Positive | None = None
    metadata: dict[str, str] = {}
    prefix: _Prefix | None = None
    upload: _Upload | None = None
    uploads: _Positive | None = None
    quota_bytes: _Count | None = None
    quota_uploads: _Count | None = None
    quota_rate: _Rate | None = None


class _Told(msgspec.Struct, frozen=True):
    """The claims that count of a token whose signature, time, issuer and audience are right."""

    exp: Annotated[float, msgspec.Meta(gt=0, lt=1e12)]
    fileloft: Limits = Limits()
    jti: _TokenId | None = None


def permit_of(
    claims: dict[str, Any], *, subject_claim: str, by_query: bool, leeway_s: float, quota: Quota
) -> Permit:
    """Return what *claims*, which were verified, allow; *quota* is what the settings say.

    Raises ValueError for claims that have no meaning here.
    """
    told = msgspec.convert(claims, _Told)
    limits = told.fileloft
    if limits.uploads is not None and told.jti is None:
        raise ValueError("a token with a number of uploads needs a jti to be counted by")
    subject = msgspec.convert(claims.get(subject_claim), _Subject)
    # JSON can escape half of a surrogate pair; nothing that names are written to takes it.
    for text in (subject, told.jti or "", *limits.metadata):
        text.encode()
    return Permit(
        subject=subject,
        operations=OWN if limits.ops is None else frozenset(limits.ops),
        expires_at=told.exp + leeway_s,
        max_size=limits.max_size or 0,
        metadata=tuple((key, value.encode()) for key, value in limits.metadata.items()),
        prefix=limits.prefix or "",
        upload=limits.upload or "",
        uploads=limits.uploads or 0,
        token_id=told.jti or "",
        by_query=by_query,
        quota=Quota(
            bytes=quota.bytes if limits.quota_bytes is None else limits.quota_bytes,
            uploads=quota.uploads if limits.quota_uploads is None else limits.quota_uploads,
            rate=quota.rate if limits.quota_rate is None else limits.quota_rate,
        ),
    )
