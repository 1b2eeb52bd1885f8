"""What is signed without asking the server, by who knows its secret."""

from __future__ import annotations

import time

from fileloft_fast.storages.description import (
    DEFAULT_EXPIRES_IN_S,
    DEFAULT_MAX_SIZE,
    Kind,
    Method,
    UploadDescription,
    describe_upload,
    object_url,
)
from fileloft_fast.storages.ticket import Ticket, sign_ticket

LEAST_SECRET_BYTES = 32


def issue_ticket(  # noqa: PLR0913 - the limits of a ticket, each by its name
    secret: str,
    *,
    url: str,
    path: str,
    storage: str = "public",
    max_size: int = DEFAULT_MAX_SIZE,
    expires_in: int = DEFAULT_EXPIRES_IN_S,
    overwrite: bool = True,
    content_type: str | None = None,
    kind: Kind = "binary",
    method: Method = "PUT",
    file_name: str | None = None,
    now: float | None = None,
) -> UploadDescription:
    """Return the description that ``Storage.create_ticket`` asks for, made here.

    *secret* is a key of FILELOFT_STORAGE_KEYS, *url* where clients reach the server. *max_size* 0
    is as much as the storage takes. Whether there is such a storage, and it takes such a path,
    shows only when the client comes.
    Raises ValueError, InvalidPathError or InvalidTicketError for what no server would accept.
    """
    ticket = Ticket(
        kind="put",
        storage=storage,
        path=path,
        expires_at=_end(secret, expires_in, now),
        max_size=max_size,
        overwrite=overwrite,
        content_type=content_type or "",
    )
    token = sign_ticket(secret, ticket)
    return describe_upload(url, ticket, token, kind=kind, method=method, file_name=file_name)


def sign_url(  # noqa: PLR0913 - as issue_ticket
    secret: str,
    *,
    url: str,
    path: str,
    storage: str = "public",
    expires_in: int = 3600,
    now: float | None = None,
) -> str:
    """Return the URL that ``Storage.signed_url`` asks for, made here; as for ``issue_ticket``."""
    end = _end(secret, expires_in, now)
    ticket = Ticket(kind="get", storage=storage, path=path, expires_at=end)
    return f"{object_url(url, storage, path)}?ticket={sign_ticket(secret, ticket)}"


def _end(secret: str, expires_in: int, now: float | None) -> int:
    if len(secret.encode()) < LEAST_SECRET_BYTES:
        raise ValueError(f"a key has at least {LEAST_SECRET_BYTES} bytes")
    if expires_in <= 0:
        raise ValueError("a ticket must end after it begins")
    return int((time.time() if now is None else now) + expires_in)
