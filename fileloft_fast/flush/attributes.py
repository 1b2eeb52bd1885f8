"""What an upload's object is stored with: media type, file name, and the client's metadata."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from fileloft_fast.stores.remote.objects import Attributes
from fileloft_fast.stores.running import texts_of_digests
from fileloft_fast.tus.download import INLINE, disposition, media_type

if TYPE_CHECKING:
    from fileloft_fast.model import UploadInfo

ID_NAME: Final = "fileloft-id"
"""Names the upload that an object belongs to; no client can set it."""

LARGEST: Final = 1900
"""Bytes of names and values together: S3 takes 2 KiB, the others more."""

# Azure wants identifiers, so a name begins with a letter.
_match_name: Final = re.compile(r"[a-z][a-z0-9-]*").fullmatch
_OWN: Final = "fileloft-"


def attributes_of(info: UploadInfo, *, zstd: bool = False) -> Attributes:
    """Return the attributes of the object that *info* becomes, compressed where *zstd* says so.

    The metadata is a courtesy to those who look into the bucket: names are made lower-case, ``_``
    becomes ``-``, values are percent-encoded. Left out are names that no store takes, that are ours
    or come twice, empty values, and pairs for which there is no room. The record has all of it.
    Digests that are known when the object is begun stand there too, as ``fileloft-sha256`` in hex.
    """
    kind, shown = media_type(info.metadata)
    return Attributes(
        # A tab or a run of spaces, which the grammar allows, is not signed by all in the same way.
        content_type=" ".join(kind.split()),
        disposition=disposition(info.metadata, inline=shown in INLINE),
        encoding="zstd" if zstd else "",
        metadata=_metadata(info),
    )


def _metadata(info: UploadInfo) -> dict[str, str]:
    metadata = {ID_NAME: str(info.id)}
    metadata |= {f"{_OWN}{name}": text for name, text in texts_of_digests(info.digests).items()}
    room = LARGEST - sum(len(name) + len(text) for name, text in metadata.items())
    for key, value in info.metadata.pairs:
        name = key.lower().replace("_", "-")
        if not value or len(value) > room or name in metadata or not _is_free(name):
            continue
        text = quote(value, safe="/:@")
        if len(name) + len(text) <= room:
            metadata[name] = text
            room -= len(name) + len(text)
    return metadata


def _is_free(name: str) -> bool:
    return _match_name(name) is not None and not name.startswith(_OWN)
