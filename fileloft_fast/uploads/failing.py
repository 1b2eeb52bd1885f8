"""Where storage fails: what goes to the log, and what becomes of the connection."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fileloft_fast.errors import RemoteUnavailableError, StoreError
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.model import Response

log = logging.getLogger(__name__)


def after_failure(
    error: Exception, answer: Response, to: logging.Logger = log, **said: object
) -> Response:
    """Return *answer* to what ended with *error*, as it is sent; failing storage is logged *to*."""
    if not isinstance(error, StoreError):
        return answer
    away = isinstance(error, RemoteUnavailableError)
    told = fields(status=error.status, error=error, cause=error.__cause__, **said)
    to.log(logging.WARNING if away else logging.ERROR, "storage failed", extra=told)
    # Bytes may have left the socket unstored: nobody knows where a next request begins.
    return answer if away else replace(answer, close=True)
