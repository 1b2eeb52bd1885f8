"""Signed upload grants: what ``fileloft-fast grant`` prints and ``issue_grant`` returns."""

from __future__ import annotations

import secrets as random
import time
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Final

import msgspec

from fileloft_fast.access.bearer import MAX_TOKEN_BYTES
from fileloft_fast.access.claims import (
    CLAIM,
    GRANT_AUDIENCE,
    GRANT_TYPE,
    LONGEST_SUBJECT,
    Limits,
)
from fileloft_fast.config.access_values import LEAST_SECRET_BYTES
from fileloft_fast.errors import ConfigError
from fileloft_fast.model import Operation

UPLOAD: Final = (Operation.CREATE, Operation.APPEND, Operation.INSPECT)
"""What is needed to bring one file; a grant that says nothing else allows this."""


def load_jwt() -> Any:  # noqa: ANN401 - a library that may not be there
    """Return PyJWT. Raises ConfigError where its extra is not installed."""
    try:
        return import_module("jwt")
    except ImportError as missing:
        raise ConfigError(
            "FILELOFT_AUTH needs an extra: pip install 'fileloft-fast[jwt]'"
        ) from missing


def issue_grant(  # noqa: PLR0913 - the limits of a grant, each by its name
    secret: str,
    *,
    expires_in_s: float,
    operations: Iterable[Operation | str] = UPLOAD,
    subject: str = "",
    max_size: int | None = None,
    metadata: Mapping[str, str] | None = None,
    prefix: str | None = None,
    uploads: int | None = 1,
    upload: str | None = None,
    quota_bytes: int | None = None,
    quota_uploads: int | None = None,
    quota_rate: float | None = None,
    now: float | None = None,
) -> str:
    """Return a token that allows *operations* for *expires_in_s* seconds, and no more.

    *secret* is the first one of FILELOFT_GRANT_SECRET. Without a *subject* the uploads belong to
    the grant itself. *uploads* is how many may be made with it, None for any number. *upload* is
    the only one that it is about, whoever made it where there is no *subject*. *metadata* must be
    sent with each creation exactly so.
    Raises ValueError for what no server would accept, and ConfigError without the extra ``jwt``.
    """
    if len(secret.encode()) < LEAST_SECRET_BYTES:
        raise ValueError(f"the secret must have at least {LEAST_SECRET_BYTES} bytes")
    if len(subject) > LONGEST_SUBJECT:
        raise ValueError(f"a subject has at most {LONGEST_SUBJECT} characters")
    if not _is_text(subject, *(metadata or {}), *(metadata or {}).values()):
        raise ValueError("a subject and metadata must be text that UTF-8 can write")
    if expires_in_s <= 0:
        raise ValueError("a grant must end after it begins")
    allowed = {Operation(name) for name in operations}
    if upload is not None and not subject:
        allowed.add(Operation.ADMIN)  # of that upload alone, whoever made it
    given: dict[str, Any] = {
        "ops": sorted(allowed),
        "max_size": max_size,
        "metadata": dict(metadata or {}),
        "prefix": prefix,
        "uploads": uploads,
        "upload": upload,
        "quota_bytes": quota_bytes,
        "quota_uploads": quota_uploads,
        "quota_rate": quota_rate,
    }
    try:
        limits = msgspec.convert(given, Limits)
    except msgspec.ValidationError as wrong:
        raise ValueError(str(wrong)) from wrong
    issued_at = time.time() if now is None else now
    name = random.token_hex(16)
    claims = {
        "aud": GRANT_AUDIENCE,
        "sub": subject or f"grant:{name}",
        "jti": name,
        "iat": int(issued_at),
        "exp": int(issued_at + expires_in_s),
        CLAIM: msgspec.to_builtins(limits),
    }
    token: str = load_jwt().encode(claims, secret, algorithm="HS256", headers={"typ": GRANT_TYPE})
    if len(token) > MAX_TOKEN_BYTES:
        raise ValueError(f"the grant is longer than the {MAX_TOKEN_BYTES} bytes that are read")
    return token


def _is_text(*texts: str) -> bool:
    """Return whether each is more than what Python makes of bytes that are no text."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True
