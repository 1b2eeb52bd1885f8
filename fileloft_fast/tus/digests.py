"""What a whole upload hashes to, as answers tell it (RFC 9530)."""

from binascii import b2a_base64
from collections.abc import Iterable, Mapping
from typing import Final

from fileloft_fast.model import Checksum, UploadInfo

NAMES: Final[Mapping[str, str]] = {"sha256": "sha-256", "sha512": "sha-512"}
"""The names that RFC 9530 has for the engine's algorithms: those neither deprecated nor broken."""


def render_digests(digests: Iterable[Checksum]) -> str:
    """Return the value of ``Repr-Digest`` or ``Content-Digest``; at least one digest is needed."""
    return ", ".join([f"{NAMES[each.algorithm]}=:{_encoded(each.digest)}:" for each in digests])


def digest_fields(info: UploadInfo) -> tuple[tuple[str, str], ...]:
    """Return ``Repr-Digest`` of a complete upload that was hashed, else nothing."""
    return (("Repr-Digest", render_digests(info.digests)),) if info.digests else ()


def _encoded(digest: bytes) -> str:
    return b2a_base64(digest, newline=False).decode()
