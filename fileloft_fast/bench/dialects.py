"""What a work says, and must be told, in each protocol: a row a protocol."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One protocol. ``always`` is in every request, ``naming`` in those that make an upload.

    A body of ``partial_type`` is appended; one that makes an upload has ``whole_type``.
    """

    name: str
    always: Fields
    naming: Fields
    partial_type: str
    whole_type: str
    appended_status: int = 204
    ended_status: int
    """The status of an append that ends its upload."""
    tells_end: bool
    """Whether ``Upload-Complete`` says of each body whether it ends the upload."""
    algorithms: tuple[str, ...] | None
    """The checksums that the protocol itself has, None where OPTIONS says it."""
    checksum: Callable[[str, bytes], Fields]
    mismatch_status: int
    largest: str
    """What the largest size of an upload is called."""
    downloads: bool = True
    """Whether GET gives the bytes of an upload."""

    def creation(self, length: int) -> dict[str, str]:
        """Return the fields of a creation without bytes."""
        return {"Upload-Length": str(length), **self.naming, **self._end(ends=False)}

    def whole(self, length: int) -> dict[str, str]:
        """Return the fields of a creation with all bytes."""
        fields = {"Upload-Length": str(length), "Content-Type": self.whole_type}
        return {**fields, **self.naming, **self._end(ends=True)}

    def append(self, offset: int, *, ends: bool) -> dict[str, str]:
        """Return the fields of an append at *offset*; *ends*: nothing comes after it."""
        fields = {"Upload-Offset": str(offset), "Content-Type": self.partial_type}
        return {**fields, **self._end(ends=ends)}

    def status(self, *, ends: bool) -> int:
        """Return the status that an append must get."""
        return self.ended_status if ends else self.appended_status

    def _end(self, *, ends: bool) -> dict[str, str]:
        return {"Upload-Complete": "?1" if ends else "?0"} if self.tells_end else {}


def _tus_checksum(algorithm: str, digest: bytes) -> Fields:
    return {"Upload-Checksum": f"{algorithm} {b64encode(digest).decode()}"}


def _content_digest(algorithm: str, digest: bytes) -> Fields:
    name = f"{algorithm[:3]}-{algorithm[3:]}"  # RFC 9530 writes sha-256
    return {"Content-Digest": f"{name}=:{b64encode(digest).decode()}:"}


# Every real client names its file and its type, and tuspyserver answers HEAD for no other.
TUS: Final = Dialect(
    name="tus",
    always={"Tus-Resumable": "1.0.0"},
    naming={"Upload-Metadata": "filename YmVuY2g=,filetype YXBwbGljYXRpb24vb2N0ZXQtc3RyZWFt"},
    partial_type="application/offset+octet-stream",
    whole_type="application/offset+octet-stream",
    ended_status=204,
    tells_end=False,
    algorithms=None,
    checksum=_tus_checksum,
    mismatch_status=460,
    largest="Tus-Max-Size",
)

# draft-ietf-httpbis-resumable-upload-09 to -11; the end of an upload is answered as its creation.
IETF: Final = Dialect(
    name="ietf",
    always={"Upload-Draft-Interop-Version": "8"},
    naming={"Content-Disposition": 'attachment; filename="bench"'},
    partial_type="application/partial-upload",
    whole_type="application/octet-stream",
    ended_status=201,
    tells_end=True,
    algorithms=("sha256", "sha512"),
    checksum=_content_digest,
    mismatch_status=400,
    largest="max-size",
    downloads=False,
)

DIALECTS: Final[Mapping[str, Dialect]] = {each.name: each for each in (TUS, IETF)}
