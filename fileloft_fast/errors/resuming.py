"""What only the IETF's "Resumable Uploads for HTTP" refuses, and what RFC 9530 finds wrong."""

from __future__ import annotations

from fileloft_fast.errors.base import WireError


class InconsistentLengthError(WireError):
    """A request tells another length than itself or an earlier one did; nothing was stored."""

    code = "inconsistent_length"


class OverrunError(WireError):
    """The body runs past the length of the upload, which is void from then on."""

    code = "overrun"


class CompletedUploadError(WireError):
    """The upload is complete, and nothing can be appended to it."""

    code = "completed_upload"


class TooSmallError(WireError):
    """The content, or the whole, is smaller than ``Upload-Limit`` allows."""

    code = "too_small"


class DigestMismatchError(WireError):
    """The upload does not hash to ``Repr-Digest``; it has failed as a whole."""

    code = "digest_mismatch"
