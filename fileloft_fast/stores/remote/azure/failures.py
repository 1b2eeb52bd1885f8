"""What an answer of Azure, or none, means for the caller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from aiohttp import ClientConnectorCertificateError, ClientError
from azure.core.exceptions import AzureError, HttpResponseError

from fileloft_fast.errors import (
    ConditionFailedError,
    ObjectNotFoundError,
    RemoteRefusedError,
    RemoteUnavailableError,
    SessionLostError,
    StoreError,
)

# https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
# By these codes alone: a container that is missing is a 404 too, and must not read as "no object".
_BY_CODE: Final[Mapping[str, type[StoreError]]] = {
    "BlobNotFound": ObjectNotFoundError,
    "BlobAlreadyExists": ConditionFailedError,
    "ConditionNotMet": ConditionFailedError,
    "SourceConditionNotMet": ObjectNotFoundError,  # of a join: it was replaced
    "InvalidBlockList": SessionLostError,
}
_TRY_AGAIN: Final = frozenset({408, 429})


@contextmanager
def azure_errors() -> Iterator[None]:
    """Raise the project's errors instead of the SDK's and of aiohttp's."""
    try:
        yield
    except HttpResponseError as error:
        raise _answered(error) from error
    except (AzureError, ClientError, OSError) as error:  # TimeoutError is an OSError
        cause = error.inner_exception if isinstance(error, AzureError) else error
        refused = isinstance(cause, ClientConnectorCertificateError)
        kind = RemoteRefusedError if refused else RemoteUnavailableError
        raise kind(f"Azure: {_line(error)}") from error


def answer_error(status: int, code: str) -> StoreError:
    """Return what an answer with an error means; *code* is Azure's name for it."""
    kind = _BY_CODE.get(code)
    if kind is None:
        passing = status in _TRY_AGAIN or (status >= 500 and status != 501)
        kind = RemoteUnavailableError if passing else RemoteRefusedError
    return kind(f"Azure answered {status} {code}".rstrip())


def _answered(error: HttpResponseError) -> StoreError:
    if error.response is None:
        # No identity gave a token, and the message says which were tried: as a rule it is the
        # network between here and whoever gives them.
        return RemoteUnavailableError(f"Azure: {_line(error)}")
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    return answer_error(int(error.status_code or 0), headers.get("x-ms-error-code", ""))


def _line(error: Exception) -> str:
    """Return the message in one line, which is what the log has for an event."""
    return " ".join(str(error).split()) or type(error).__name__
