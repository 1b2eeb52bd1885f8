"""Attributes as Azure stores them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from azure.core import MatchConditions
from azure.storage.blob import ContentSettings

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.objects import Attributes, Condition

_DIGITS: Final = frozenset("0123456789")


def metadata_name(name: str) -> str:
    """Return a C# identifier, which is what Azure takes: ``_`` for ``-``, and no digit first."""
    spelt = name.replace("-", "_")
    return f"_{spelt}" if spelt[:1] in _DIGITS or spelt.startswith("_") else spelt


def plain_name(name: str) -> str:
    """Return the name that ``metadata_name`` has spelt so."""
    return name.lower().removeprefix("_").replace("_", "-")


def spelt_metadata(attributes: Attributes) -> dict[str, str]:
    """Return the metadata under Azure's names."""
    return {metadata_name(name): value for name, value in attributes.metadata.items()}


def plain_metadata(found: Mapping[str, str] | None) -> dict[str, str]:
    """Return metadata that Azure told under the names that it was given with."""
    return {plain_name(name): value for name, value in (found or {}).items()}


def content_settings(attributes: Attributes) -> ContentSettings:
    """Return what a download of the object is to be sent with."""
    return ContentSettings(
        content_type=attributes.content_type,
        content_disposition=attributes.disposition or None,
        content_encoding=attributes.encoding or None,
    )


def put_headers(attributes: Attributes, condition: Condition | None) -> dict[str, str]:
    """Return the headers of a Put Blob."""
    headers = {
        "x-ms-blob-type": "BlockBlob",
        "x-ms-blob-content-type": attributes.content_type,
        "x-ms-blob-content-disposition": attributes.disposition,
        "x-ms-blob-content-encoding": attributes.encoding,
        "If-Match": condition.tag or "" if condition is not None else "",
        "If-None-Match": "*" if condition is not None and condition.tag is None else "",
    }
    headers |= {f"x-ms-meta-{name}": text for name, text in spelt_metadata(attributes).items()}
    return {name: text for name, text in headers.items() if text}


def match_conditions(condition: Condition | None) -> dict[str, str | MatchConditions]:
    """Return *condition* as arguments of the SDK."""
    if condition is None:
        return {}
    if condition.tag is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": condition.tag, "match_condition": MatchConditions.IfNotModified}
