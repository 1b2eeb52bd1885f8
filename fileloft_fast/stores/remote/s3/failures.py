"""What a failure of botocore, or an error that S3 answers, means for the caller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from aiohttp import ClientError as BrokenConnection
from aiohttp import ClientSSLError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    SSLError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError

from fileloft_fast.errors import (
    ConditionFailedError,
    ObjectNotFoundError,
    RemoteRefusedError,
    RemoteUnavailableError,
    SessionLostError,
    StoreError,
)

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what others add to it.
_BY_CODE: Final[Mapping[str, type[StoreError]]] = {
    "NoSuchUpload": SessionLostError,
    "InvalidPart": SessionLostError,  # a part is not the one that was sent: the session is no use
    "InvalidPartOrder": SessionLostError,
    "NoSuchKey": ObjectNotFoundError,
    "NoSuchBucket": RemoteRefusedError,
    "PreconditionFailed": ConditionFailedError,
    "ConditionalRequestConflict": ConditionFailedError,
    "OperationAborted": RemoteUnavailableError,
    "RequestTimeout": RemoteUnavailableError,  # 400: the body came too slowly
    "IncompleteBody": RemoteUnavailableError,
    # Bytes were damaged on the way: the checksum was made of what the file holds.
    "BadDigest": RemoteUnavailableError,
    "XAmzContentChecksumMismatch": RemoteUnavailableError,  # MinIO
    "NotImplemented": RemoteRefusedError,
}

_BY_STATUS: Final[Mapping[int, type[StoreError]]] = {
    # Without a code of S3's it is not the store's word, but a proxy's, or that of whoever sits in
    # front of the internet here.
    404: RemoteUnavailableError,
    408: RemoteUnavailableError,
    412: ConditionFailedError,
    429: RemoteUnavailableError,
    501: RemoteRefusedError,
}

# What may pass by itself: the network, and whoever hands out credentials.
_PASSING: Final = (
    BrokenConnection,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoConnectionError,
    NoCredentialsError,
    OSError,  # TimeoutError is one
    ResponseParserError,
    TokenRetrievalError,
)


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Raise the project's errors instead of botocore's; *operation* is named in their text."""
    try:
        yield
    except ClientError as error:
        raise answered_error(operation, error) from error
    except SSLError as error:
        raise _tls_error(operation, error) from error
    except _PASSING as error:
        raise RemoteUnavailableError(f"{operation}: {error}") from error
    except BotoCoreError as error:
        raise RemoteRefusedError(f"{operation}: {error}") from error


def answered_error(operation: str, error: ClientError) -> StoreError:
    """Return what an error answer means."""
    status, code = status_of(error), str(error.response.get("Error", {}).get("Code", ""))
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if kind is None:
        kind = RemoteUnavailableError if status >= 500 or _throttles(code) else RemoteRefusedError
    return kind(f"{operation}: {status} {code}")


def status_of(error: BaseException | None) -> int:
    """Return the status of an error that S3 answered, 0 for any other."""
    if not isinstance(error, ClientError):
        return 0
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _throttles(code: str) -> bool:
    return code.startswith(("SlowDown", "Throttl", "TooManyRequests", "RequestLimitExceeded"))


def _tls_error(operation: str, error: SSLError) -> StoreError:
    """A certificate that is refused stays so; a handshake that fails may be the network's."""
    cause = error.kwargs.get("error")
    certificate = isinstance(cause, ClientSSLError) and "CERTIFICATE" in str(cause).upper()
    kind = RemoteRefusedError if certificate else RemoteUnavailableError
    return kind(f"{operation}: {error}")
