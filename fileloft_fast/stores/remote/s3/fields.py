"""The project's values as parameters of botocore, and back."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fileloft_fast.dataplane import digest_of

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.objects import Attributes, Condition


def attribute_fields(attributes: Attributes) -> dict[str, Any]:
    """Return what an object is stored with."""
    fields: dict[str, Any] = {"ContentType": attributes.content_type}
    if attributes.disposition:
        fields["ContentDisposition"] = attributes.disposition
    if attributes.encoding:
        fields["ContentEncoding"] = attributes.encoding
    if attributes.metadata:
        fields["Metadata"] = dict(attributes.metadata)
    return fields


def condition_fields(condition: Condition | None) -> dict[str, str]:
    """Return what must hold for a write."""
    if condition is None:
        return {}
    return {"IfNoneMatch": "*"} if condition.tag is None else {"IfMatch": condition.tag}


def checksum_fields(crc32c: int) -> dict[str, str]:
    """Return the CRC-32C that the store is to compare."""
    return {"ChecksumCRC32C": base64.b64encode(crc32c.to_bytes(4, "big")).decode()}


def crc32c_in(answer: Mapping[str, Any]) -> int | None:
    """Return the CRC-32C of the bytes, if it is told.

    What is told of an object of parts ends in ``-`` and their number: it is that of their CRCs.
    """
    value = str(answer.get("ChecksumCRC32C") or "-")
    return None if "-" in value else int.from_bytes(base64.b64decode(value), "big")


def modified_at_in(answer: Mapping[str, Any]) -> float:
    """Return when an object was last modified, 0 where it is not told."""
    told = answer.get("LastModified")
    return 0.0 if told is None else float(told.timestamp())


def crc32c_of(content: bytes) -> int:
    """Return the CRC-32C of *content*."""
    return int.from_bytes(digest_of("crc32c", content), "big")
