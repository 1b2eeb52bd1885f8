"""S3's answers as XML: values in, bytes out. ``reading`` has the documents that clients send."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from fileloft_fast.s3front.signature import render_time

if TYPE_CHECKING:
    from fileloft_fast.s3front.codes import S3Error

CONTENT_TYPE: Final = "application/xml"

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}
_ESCAPED: Final = re.compile(r'[&<>"\r]')
# What XML 1.0 cannot hold in any form: a reader would refuse the whole document.
_UNSPEAKABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STANDARD: Final = "<StorageClass>STANDARD</StorageClass>"


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a list; ``etag`` is without quotes."""

    key: str
    size: int
    etag: str
    modified_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page of a bucket's objects.

    ``after`` is ``start-after`` of version 2 and ``marker`` of version 1; ``following`` is what the
    next page is asked with, "" on the last. ``url``: names are encoded as in a URL.
    """

    bucket: str
    objects: Sequence[Listed] = ()
    prefixes: Sequence[str] = ()
    prefix: str = ""
    delimiter: str = ""
    max_keys: int = 1000
    after: str = ""
    token: str = ""
    following: str = ""
    url: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart upload; ``etag`` is without quotes."""

    number: int
    size: int
    etag: str
    modified_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PartList:
    """One page of the parts of a multipart upload; ``following`` is 0 on the last."""

    bucket: str
    key: str
    upload_id: str
    parts: Sequence[Part] = ()
    max_parts: int = 1000
    after: int = 0
    following: int = 0
    url: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    upload_id: str
    started_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadList:
    """One page of a bucket's multipart uploads; both parts of ``following`` are "" on the last."""

    bucket: str
    uploads: Sequence[Started] = ()
    prefixes: Sequence[str] = ()
    prefix: str = ""
    delimiter: str = ""
    max_uploads: int = 1000
    after: tuple[str, str] = ("", "")
    following: tuple[str, str] = ("", "")
    url: bool = False


def render_error(error: S3Error, resource: str, request_id: str) -> bytes:
    """Return the document of an error; *resource* is the path of the request."""
    details = "".join(_tag(name, value) for name, value in error.details.items())
    text = (
        _tag("Code", error.code)
        + _tag("Message", str(error))
        + details
        + _tag("Resource", resource)
        + _tag("RequestId", request_id)
    )
    return f"{_DECLARATION}<Error>{text}</Error>".encode()


def render_buckets(buckets: Iterable[tuple[str, float]], owner: str) -> bytes:
    """Return ListAllMyBucketsResult: *buckets* as names and when they were made."""
    rows = "".join(
        f"<Bucket>{_tag('Name', name)}{_tag('CreationDate', render_time(at))}</Bucket>"
        for name, at in buckets
    )
    return _document("ListAllMyBucketsResult", f"{_owner(owner)}<Buckets>{rows}</Buckets>")


def render_listing(listing: Listing, *, owner: str = "") -> bytes:
    """Return ListBucketResult of ListObjectsV2; every object has *owner* where it is not ""."""
    return _document(
        "ListBucketResult",
        _listing_head(listing)
        + _tag("KeyCount", len(listing.objects) + len(listing.prefixes))
        + _maybe_tag("ContinuationToken", listing.token)
        + _maybe_tag("NextContinuationToken", listing.following)
        + _maybe_tag("StartAfter", _name(listing.after, url=listing.url))
        + _listing_rows(listing, owner),
    )


def render_listing_v1(listing: Listing, owner: str) -> bytes:
    """Return ListBucketResult of ListObjects, its first version."""
    return _document(
        "ListBucketResult",
        _listing_head(listing)
        + _tag("Marker", _name(listing.after, url=listing.url))
        + _maybe_tag("NextMarker", _name(listing.following, url=listing.url))
        + _listing_rows(listing, owner),
    )


def render_upload_started(bucket: str, key: str, upload_id: str) -> bytes:
    """Return InitiateMultipartUploadResult."""
    text = _tag("Bucket", bucket) + _tag("Key", key) + _tag("UploadId", upload_id)
    return _document("InitiateMultipartUploadResult", text)


def render_upload_completed(
    location: str, bucket: str, key: str, etag: str, checksums: Mapping[str, str]
) -> bytes:
    """Return CompleteMultipartUploadResult; *etag* is without quotes.

    *checksums*: those of the whole object that were verified, in base64, by algorithm.
    """
    text = _tag("Location", location) + _tag("Bucket", bucket) + _tag("Key", key) + _etag(etag)
    text += "".join(_tag(f"Checksum{name.upper()}", value) for name, value in checksums.items())
    text += _maybe_tag("ChecksumType", "FULL_OBJECT" if checksums else "")
    return _document("CompleteMultipartUploadResult", text)


def render_form_stored(location: str, bucket: str, key: str, etag: str) -> bytes:
    """Return PostResponse: the answer to a form that asked for 201."""
    text = _tag("Location", location) + _tag("Bucket", bucket) + _tag("Key", key) + _etag(etag)
    return f"{_DECLARATION}<PostResponse>{text}</PostResponse>".encode()


def render_parts(parts: PartList, owner: str) -> bytes:
    """Return ListPartsResult."""
    rows = "".join(
        f"<Part>{_tag('PartNumber', part.number)}{_modified(part.modified_at)}"
        f"{_etag(part.etag)}{_tag('Size', part.size)}</Part>"
        for part in parts.parts
    )
    return _document(
        "ListPartsResult",
        _maybe_tag("EncodingType", "url" if parts.url else "")
        + _tag("Bucket", parts.bucket)
        + _tag("Key", _name(parts.key, url=parts.url))
        + _tag("UploadId", parts.upload_id)
        + _owner(owner, "Initiator")
        + _owner(owner)
        + _STANDARD
        + _tag("PartNumberMarker", parts.after)
        + _maybe_tag("NextPartNumberMarker", str(parts.following or ""))
        + _tag("MaxParts", parts.max_parts)
        + _flag("IsTruncated", value=parts.following > 0)
        + rows,
    )


def render_uploads(uploads: UploadList, owner: str) -> bytes:
    """Return ListMultipartUploadsResult."""
    rows = "".join(
        f"<Upload>{_tag('Key', _name(row.key, url=uploads.url))}{_tag('UploadId', row.upload_id)}"
        f"{_owner(owner, 'Initiator')}{_owner(owner)}{_STANDARD}"
        f"{_tag('Initiated', render_time(row.started_at))}</Upload>"
        for row in uploads.uploads
    )
    (key, upload_id), (next_key, next_id) = uploads.after, uploads.following
    return _document(
        "ListMultipartUploadsResult",
        _maybe_tag("EncodingType", "url" if uploads.url else "")
        + _tag("Bucket", uploads.bucket)
        + _tag("Prefix", _name(uploads.prefix, url=uploads.url))
        + _maybe_tag("Delimiter", _name(uploads.delimiter, url=uploads.url))
        + _tag("KeyMarker", _name(key, url=uploads.url))
        + _tag("UploadIdMarker", upload_id)
        + _maybe_tag("NextKeyMarker", _name(next_key, url=uploads.url))
        + _maybe_tag("NextUploadIdMarker", next_id)
        + _tag("MaxUploads", uploads.max_uploads)
        + _flag("IsTruncated", value=bool(next_key))
        + rows
        + _prefixes(uploads.prefixes, url=uploads.url),
    )


def render_deleted(deleted: Iterable[str], failed: Iterable[tuple[str, S3Error]]) -> bytes:
    """Return DeleteResult; *deleted* is empty where the client asked for quiet."""
    rows = "".join(f"<Deleted>{_tag('Key', key)}</Deleted>" for key in deleted)
    rows += "".join(
        f"<Error>{_tag('Key', key)}{_tag('Code', error.code)}{_tag('Message', str(error))}</Error>"
        for key, error in failed
    )
    return _document("DeleteResult", rows)


def render_location(region: str) -> bytes:
    """Return LocationConstraint, which some clients ask for before anything else."""
    # us-east-1 is the region that has no name in this document.
    text = "" if region == "us-east-1" else _text(region)
    return _document("LocationConstraint", text)


# -- the pieces -------------------------------------------------------------------------------


def _listing_head(listing: Listing) -> str:
    return (
        _maybe_tag("EncodingType", "url" if listing.url else "")
        + _tag("Name", listing.bucket)
        + _tag("Prefix", _name(listing.prefix, url=listing.url))
        + _maybe_tag("Delimiter", _name(listing.delimiter, url=listing.url))
        + _tag("MaxKeys", listing.max_keys)
        + _flag("IsTruncated", value=bool(listing.following))
    )


def _listing_rows(listing: Listing, owner: str) -> str:
    of_owner = _owner(owner) if owner else ""
    rows = "".join(
        f"<Contents>{_tag('Key', _name(row.key, url=listing.url))}{_modified(row.modified_at)}"
        f"{_etag(row.etag)}{_tag('Size', row.size)}{of_owner}{_STANDARD}</Contents>"
        for row in listing.objects
    )
    return rows + _prefixes(listing.prefixes, url=listing.url)


def _prefixes(prefixes: Iterable[str], *, url: bool) -> str:
    return "".join(
        f"<CommonPrefixes>{_tag('Prefix', _name(prefix, url=url))}</CommonPrefixes>"
        for prefix in prefixes
    )


def _document(name: str, inside: str) -> bytes:
    return f'{_DECLARATION}<{name} xmlns="{_NAMESPACE}">{inside}</{name}>'.encode()


def _owner(owner: str, name: str = "Owner") -> str:
    return f"<{name}>{_tag('ID', owner)}{_tag('DisplayName', owner)}</{name}>"


def _etag(etag: str) -> str:
    return _tag("ETag", f'"{etag}"')


def _modified(at: float) -> str:
    return _tag("LastModified", render_time(at))


def _flag(name: str, *, value: bool) -> str:
    return _tag(name, "true" if value else "false")


def _maybe_tag(name: str, value: str) -> str:
    return _tag(name, value) if value else ""


def _tag(name: str, value: object) -> str:
    return f"<{name}>{_text(str(value))}</{name}>"


def _text(value: str) -> str:
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], _UNSPEAKABLE.sub("\ufffd", value))


def _name(value: str, *, url: bool) -> str:
    return quote(value, safe="/", errors="surrogateescape") if url else value
