"""What a request asks for, as values: ``plan`` returns one of these and ``uploads`` does it."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from fileloft_fast.model import NO_METADATA, Checksum, Concat, Metadata, Offset, UploadId


class Coding(StrEnum):
    """How the body is coded; offsets and lengths always count decoded bytes."""

    IDENTITY = "identity"
    ZSTD = "zstd"


IDENTITY: Final = Coding.IDENTITY
"""A name of the module: before Python 3.12, a look at an enum's member costs as much as a call."""


class Options(Struct, frozen=True):
    """Say what this server can do."""


class Create(Struct, frozen=True, kw_only=True):
    """Make an upload, and append the request's body to it where ``has_body``.

    ``length`` is None for a deferred length. ``size`` is the number of decoded body bytes, None
    where only the body's end tells. ``checksum`` and ``checksum_trailer`` are about the body, and
    unset without one. ``resumption`` is what another protocol wants besides; tus sets none.
    """

    length: int | None
    metadata: Metadata = NO_METADATA
    concat: Concat = Concat.NONE
    concat_raw: str = ""
    has_body: bool = False
    size: int | None = 0
    checksum: Checksum | None = None
    checksum_trailer: bool = False
    coding: Coding = Coding.IDENTITY
    resumption: object = None


class Concatenate(Struct, frozen=True):
    """Make a final upload of ``partials``, in this order; one may come twice."""

    partials: tuple[UploadId, ...]
    metadata: Metadata
    concat_raw: str


class Append(Struct, frozen=True):
    """Append the request's body to an upload.

    ``declared_length`` is ``Upload-Length``, which ends a deferral. ``size`` is the number of
    decoded body bytes, None where only the body's end tells. With ``checksum_trailer`` the trailer
    must bring ``Upload-Checksum``: 400 where it does not, and the body is discarded.
    ``resumption`` is as in ``Create``.
    """

    id: UploadId
    offset: Offset
    declared_length: int | None
    size: int | None
    checksum: Checksum | None = None
    checksum_trailer: bool = False
    coding: Coding = Coding.IDENTITY
    resumption: object = None


class Inspect(Struct, frozen=True):
    """Tell how far an upload is (HEAD)."""

    id: UploadId


class Terminate(Struct, frozen=True):
    """Remove an upload (DELETE)."""

    id: UploadId


class Download(Struct, frozen=True):
    """Send a finished upload's bytes (GET)."""

    id: UploadId


Effect = Options | Create | Concatenate | Append | Inspect | Terminate | Download
