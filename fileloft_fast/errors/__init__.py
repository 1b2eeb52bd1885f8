"""Every failure with a name: who is to blame, which status it becomes, what the client reads.

The base class says who is to blame: the peer (``WireError``), the operator (``ConfigError``) or the
backend (``StoreError``). Our own bugs stay AssertionError and RuntimeError and become 500.
"""

from __future__ import annotations

from typing import ClassVar

from fileloft_fast.errors.base import FileloftError as FileloftError
from fileloft_fast.errors.base import WireError as WireError
from fileloft_fast.errors.hooking import HookFailedError as HookFailedError
from fileloft_fast.errors.hooking import HookUnavailableError as HookUnavailableError
from fileloft_fast.errors.hooking import RefusedByHookError as RefusedByHookError
from fileloft_fast.errors.hooking import TerminationRejectedError as TerminationRejectedError
from fileloft_fast.errors.hooking import UploadExistsError as UploadExistsError
from fileloft_fast.errors.hooking import UploadRejectedError as UploadRejectedError
from fileloft_fast.errors.hooking import UploadStoppedError as UploadStoppedError
from fileloft_fast.errors.resuming import CompletedUploadError as CompletedUploadError
from fileloft_fast.errors.resuming import DigestMismatchError as DigestMismatchError
from fileloft_fast.errors.resuming import InconsistentLengthError as InconsistentLengthError
from fileloft_fast.errors.resuming import OverrunError as OverrunError
from fileloft_fast.errors.resuming import TooSmallError as TooSmallError
from fileloft_fast.errors.storing import CatalogueError as CatalogueError
from fileloft_fast.errors.storing import InvalidRequestError as InvalidRequestError
from fileloft_fast.errors.storing import NoSuchObjectError as NoSuchObjectError
from fileloft_fast.errors.storing import NoSuchStorageError as NoSuchStorageError
from fileloft_fast.errors.storing import ObjectExistsError as ObjectExistsError
from fileloft_fast.errors.storing import PreconditionFailedError as PreconditionFailedError
from fileloft_fast.errors.ticketing import FormError as FormError
from fileloft_fast.errors.ticketing import InvalidPathError as InvalidPathError
from fileloft_fast.errors.ticketing import InvalidTicketError as InvalidTicketError
from fileloft_fast.errors.ticketing import TicketError as TicketError
from fileloft_fast.errors.ticketing import TicketExpiredError as TicketExpiredError
from fileloft_fast.errors.ticketing import TicketSpentError as TicketSpentError


class ConfigError(FileloftError):
    """The operator's settings cannot be served; the message names the variable."""

    code = "config"


# -- HTTP ---------------------------------------------------------------------------------------


class BadRequestError(WireError):
    """The request breaks HTTP/1.1 framing or syntax; the connection closes (RFC 9112)."""

    code = "bad_request"


class UriTooLongError(WireError):
    """The request target is longer than the server reads."""

    status = 414
    code = "uri_too_long"


class HeadTooLargeError(WireError):
    """The head or the trailers are larger, or have more fields, than the server reads."""

    status = 431
    code = "head_too_large"


class NotImplementedMethodError(WireError):
    """The method or the transfer coding is not one that this server knows."""

    status = 501
    code = "not_implemented"


class HttpVersionError(WireError):
    """The request is in a version of HTTP that this server does not speak."""

    status = 505
    code = "http_version"


class ExpectationError(WireError):
    """``Expect`` asks for something other than 100-continue."""

    status = 417
    code = "expectation_failed"


class HeadTimeoutError(WireError):
    """The head did not arrive in time."""

    status = 408
    code = "head_timeout"


class BodyTimeoutError(WireError):
    """The body stalled or came too slowly; every byte that arrived in a plain body is kept.

    A 5xx, since clients give an upload up on 408 and retry on 503.
    """

    status = 503
    code = "body_timeout"


class BodyCutError(WireError):
    """The connection ended before the body did; every byte that arrived in a plain body is kept."""

    code = "body_cut"


class UnsupportedCodingError(WireError):
    """``Content-Encoding`` names a coding other than zstd, or the body is not valid zstd."""

    status = 415
    code = "unsupported_coding"


# -- tus ----------------------------------------------------------------------------------------


class VersionError(WireError):
    """``Tus-Resumable`` is missing or another version; the answer carries ``Tus-Version``."""

    status = 412
    code = "tus_version"


class InvalidHeaderError(WireError):
    """A tus header field is missing, repeated with other values, or has no valid value."""

    code = "invalid_header"


class InvalidMetadataError(WireError):
    """``Upload-Metadata`` does not follow the grammar."""

    code = "invalid_metadata"


class ContentTypeError(WireError):
    """A PATCH body is not ``application/offset+octet-stream``."""

    status = 415
    code = "content_type"


class UploadNotFoundError(WireError):
    """There is no such upload, or the request may not see it."""

    status = 404
    code = "not_found"


class UnauthorizedError(WireError):
    """There is no valid token; the answer carries ``WWW-Authenticate``, and says no more."""

    status = 401
    code = "unauthorized"


class ForbiddenError(WireError):
    """The token is valid and does not allow this, whichever upload it is about."""

    status = 403
    code = "forbidden"


class QuotaError(WireError):
    """The subject has all that it may have at once; the answer carries ``Retry-After``."""

    status = 429
    code = "quota"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyTriesError(QuotaError):
    """Too many wrong keys came from this address; the answer carries ``Retry-After``."""

    code = "too_many_tries"


class UploadGoneError(WireError):
    """The upload has expired, and the server still remembers it."""

    status = 410
    code = "gone"


class MethodNotAllowedError(WireError):
    """The resource does not support the method; the answer carries ``Allow``."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, allow: str) -> None:
        super().__init__("method not allowed here")
        self.allow = allow


class ExtensionDisabledError(WireError):
    """The request needs an extension that this server has switched off."""

    status = 404
    code = "extension_disabled"


class OffsetConflictError(WireError):
    """The client's offset is not the server's offset."""

    status = 409
    code = "offset_conflict"

    def __init__(self, *, expected: int, got: int) -> None:
        super().__init__(f"expected offset {expected}, got {got}")
        self.expected = expected
        self.got = got


class TooLargeError(WireError):
    """The body or the declared length exceeds what the upload or the server may hold."""

    status = 413
    code = "too_large"


class FinalUploadError(WireError):
    """A final upload of a concatenation takes no bytes (tus 1.0, Concatenation)."""

    status = 403
    code = "final_upload"


class ConcatenationError(WireError):
    """A final upload names uploads that cannot be put together."""

    code = "concatenation"


class ChecksumMismatchError(WireError):
    """The body does not hash to what the client said; it was discarded, the offset is unchanged."""

    status = 460
    code = "checksum_mismatch"


class UploadLockedError(WireError):
    """Another request holds the upload and did not give it up, or took it over from this one."""

    status = 423
    code = "locked"


class NotReadyError(WireError):
    """The upload is not finished, so there is nothing to download."""

    status = 409
    code = "not_ready"


class RangeNotSatisfiableError(WireError):
    """``Range`` lies outside the file; the answer carries ``Content-Range``."""

    status = 416
    code = "range"

    def __init__(self, size: int) -> None:
        super().__init__("range outside the file")
        self.size = size


# -- server and backend -------------------------------------------------------------------------


class ShuttingDownError(FileloftError):
    """The server is stopping; bytes that arrived are kept, another try goes to the next process."""

    status = 503
    code = "shutting_down"


class OverloadedError(FileloftError):
    """The server has all the connections it takes."""

    status = 503
    code = "overloaded"


class StoreError(FileloftError):
    """The backend failed; ``retryable`` says whether the same request may succeed later."""

    status = 500
    code = "store"
    retryable: ClassVar[bool] = False


class StorageFullError(StoreError):
    """The disk is full, or below FILELOFT_MIN_FREE; bytes that were written are kept."""

    status = 507
    code = "storage_full"
    retryable = True


class StorageBusyError(StoreError):
    """The server has no descriptors or memory left for this; the same request may succeed soon."""

    status = 503
    code = "storage_busy"
    retryable = True


class NotStoredError(FileloftError):
    """The bytes are here, but not yet where they are to be kept; the client tries again."""

    status = 503
    code = "not_stored"


class LockServiceError(FileloftError):
    """The locks between replicas cannot be reached; nothing was done, the client tries again."""

    status = 503
    code = "lock_service"


class KeysUnavailableError(FileloftError):
    """The keys that tokens are checked with were never to be had; the client tries again."""

    status = 503
    code = "keys_unavailable"


class AccountsError(FileloftError):
    """Who has how much cannot be written down; nothing was done, the client tries again."""

    status = 503
    code = "accounts"


class RemoteUnavailableError(StoreError):
    """The object store does not answer, is busy or fails; what arrived is kept in the spool."""

    status = 503
    code = "store_unavailable"
    retryable = True


class RemoteRefusedError(StoreError):
    """The object store refuses: credentials, permissions, no such bucket. An operator must act."""

    code = "store_refused"


class SessionLostError(StoreError):
    """The object store no longer knows a multipart upload or session that was begun."""

    code = "session_lost"


class ConditionFailedError(StoreError):
    """Another version of the object is there than the one that a write was made for."""

    code = "condition_failed"


class ObjectNotFoundError(StoreError):
    """An object that should be in the store is not there."""

    code = "object_not_found"


class CannotJoinError(StoreError):
    """The store cannot put these objects together by itself; the bytes go through the spool."""

    code = "cannot_join"
