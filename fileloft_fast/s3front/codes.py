"""S3's errors by S3's names, and which of them our own failures are to an S3 client.

Status and code are S3's (API reference, "Error responses"), as SDKs decide by the code whether a
request is tried again. The first line of a docstring is the message that a client reads unless
another one is given.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import Final

from fileloft_fast import errors
from fileloft_fast.errors import FileloftError, StoreError, WireError


class S3Error(WireError):
    """The request could not be served."""

    def __init__(self, message: str = "", **details: str) -> None:
        """Make the error; *details* are further elements of its document (``Key``, ``Region``)."""
        super().__init__(message or cleandoc(type(self).__doc__ or "").partition("\n")[0])
        self.details = details


# -- who asks -----------------------------------------------------------------------------------


class AccessDeniedError(S3Error):
    """Access denied."""

    status = 403
    code = "AccessDenied"


class AuthorizationHeaderMalformedError(S3Error):
    """The authorization header is malformed."""

    code = "AuthorizationHeaderMalformed"


class AuthorizationQueryParametersError(S3Error):
    """The query parameters of the signature are malformed."""

    code = "AuthorizationQueryParametersError"


class InvalidAccessKeyIdError(S3Error):
    """The access key id is not known here."""

    status = 403
    code = "InvalidAccessKeyId"


class InvalidTokenError(S3Error):
    """There are no session tokens here."""

    code = "InvalidToken"


class RequestTimeTooSkewedError(S3Error):
    """The time of the request and the time here are too far apart."""

    status = 403
    code = "RequestTimeTooSkewed"


class SignatureDoesNotMatchError(S3Error):
    """The signature is not the one that is calculated here: check the secret key and the method."""

    status = 403
    code = "SignatureDoesNotMatch"


# -- what is sent -------------------------------------------------------------------------------


class BadDigestError(S3Error):
    """The checksum that was sent is not the one of what was received."""

    code = "BadDigest"


class EntityTooLargeError(S3Error):
    """The upload is larger than it may be."""

    code = "EntityTooLarge"


class EntityTooSmallError(S3Error):
    """The upload is smaller than it may be."""

    code = "EntityTooSmall"


class IncompleteBodyError(S3Error):
    """The body ended before the number of bytes that the request announced."""

    code = "IncompleteBody"


class InvalidArgumentError(S3Error):
    """An argument is invalid."""

    code = "InvalidArgument"


class InvalidDigestError(S3Error):
    """The Content-MD5 or checksum that was sent is not valid."""

    code = "InvalidDigest"


class InvalidPolicyDocumentError(S3Error):
    """The content of the form does not meet the conditions, or the policy is not valid."""

    code = "InvalidPolicyDocument"


class InvalidRequestError(S3Error):
    """The request is invalid."""

    code = "InvalidRequest"


class KeyTooLongError(S3Error):
    """The key is too long."""

    code = "KeyTooLongError"


class MalformedPOSTRequestError(S3Error):
    """The body of the POST is not well-formed multipart/form-data."""

    code = "MalformedPOSTRequest"


class MalformedTrailerError(S3Error):
    """The trailer of the body is not well-formed, or not the one that was announced."""

    code = "MalformedTrailerError"


class MalformedXMLError(S3Error):
    """The XML is not well-formed, or is not the document that is wanted here."""

    code = "MalformedXML"


class MaxMessageLengthExceededError(S3Error):
    """The request is too long."""

    code = "MaxMessageLengthExceeded"


class MissingContentLengthError(S3Error):
    """Content-Length is needed."""

    status = 411
    code = "MissingContentLength"


class RequestTimeoutError(S3Error):
    """The body was not read from or written to the socket in time."""

    code = "RequestTimeout"


class XAmzContentSHA256MismatchError(S3Error):
    """The x-amz-content-sha256 that was sent is not the hash of what was received."""

    code = "XAmzContentSHA256Mismatch"


# -- what is there ------------------------------------------------------------------------------


class InvalidPartError(S3Error):
    """A part was not found, or its entity tag is not the one of the part."""

    code = "InvalidPart"


class InvalidPartOrderError(S3Error):
    """The parts are not in ascending order."""

    code = "InvalidPartOrder"


class InvalidRangeError(S3Error):
    """The range cannot be served."""

    status = 416
    code = "InvalidRange"


class MethodNotAllowedError(S3Error):
    """The method is not allowed on this resource."""

    status = 405
    code = "MethodNotAllowed"


class NoSuchBucketError(S3Error):
    """The bucket does not exist."""

    status = 404
    code = "NoSuchBucket"


class NoSuchKeyError(S3Error):
    """The key does not exist."""

    status = 404
    code = "NoSuchKey"


class NoSuchUploadError(S3Error):
    """The multipart upload does not exist: it may have been aborted or completed."""

    status = 404
    code = "NoSuchUpload"


class NotImplementedS3Error(S3Error):
    """The request needs what is not implemented here."""

    status = 501
    code = "NotImplemented"


class OperationAbortedError(S3Error):
    """Another operation on this resource is in progress: try again."""

    status = 409
    code = "OperationAborted"


class PreconditionFailedError(S3Error):
    """A precondition of the request does not hold."""

    status = 412
    code = "PreconditionFailed"


# -- what fails ---------------------------------------------------------------------------------


class InternalError(S3Error):
    """An internal error: try again."""

    status = 500
    code = "InternalError"


class ServiceUnavailableError(S3Error):
    """The service is not available now: try again."""

    status = 503
    code = "ServiceUnavailable"


class SlowDownError(S3Error):
    """Reduce the rate of requests."""

    status = 503
    code = "SlowDown"


# The first row whose class fits, so that those of one class come before those of its bases.
S3_ERRORS: Final[tuple[tuple[type[FileloftError], type[S3Error]], ...]] = (
    (errors.UploadNotFoundError, NoSuchUploadError),
    (errors.UploadGoneError, NoSuchUploadError),
    (errors.NoSuchStorageError, NoSuchBucketError),
    (errors.NoSuchObjectError, NoSuchKeyError),
    (errors.ObjectExistsError, PreconditionFailedError),
    (errors.PreconditionFailedError, PreconditionFailedError),
    (errors.InvalidPathError, InvalidArgumentError),
    (errors.FormError, MalformedPOSTRequestError),
    (errors.UploadLockedError, OperationAbortedError),
    (errors.TooLargeError, EntityTooLargeError),
    (errors.RangeNotSatisfiableError, InvalidRangeError),
    (errors.MethodNotAllowedError, MethodNotAllowedError),
    (errors.NotImplementedMethodError, NotImplementedS3Error),
    (errors.BodyTimeoutError, RequestTimeoutError),
    (errors.BodyCutError, IncompleteBodyError),
    (errors.ChecksumMismatchError, BadDigestError),
    (errors.HeadTooLargeError, MaxMessageLengthExceededError),
    (errors.ForbiddenError, AccessDeniedError),
    (errors.UnauthorizedError, AccessDeniedError),
    (errors.QuotaError, SlowDownError),
    (errors.OverloadedError, SlowDownError),
    (errors.StorageBusyError, SlowDownError),
    (errors.ShuttingDownError, ServiceUnavailableError),
    (errors.NotStoredError, ServiceUnavailableError),
    (errors.LockServiceError, ServiceUnavailableError),
    (errors.StorageFullError, ServiceUnavailableError),
    (errors.RemoteUnavailableError, ServiceUnavailableError),
    (errors.ObjectNotFoundError, NoSuchKeyError),
    (WireError, InvalidRequestError),
    (StoreError, InternalError),
    (FileloftError, ServiceUnavailableError),
)
"""Which error of S3 each of ours is, most special first."""


def s3_error(error: Exception) -> S3Error:
    """Return what *error* is to an S3 client; a bug of ours is InternalError and says no more."""
    if isinstance(error, S3Error):
        return error
    for ours, theirs in S3_ERRORS:
        if isinstance(error, ours):
            # What a backend says may name hosts and buckets that are not the client's business.
            return theirs(str(error) if isinstance(error, WireError) else "")
    return InternalError()
