"""A request of an S3 client whose signature is verified, and which operation it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from fileloft_fast.s3front.codes import (
    InvalidArgumentError,
    KeyTooLongError,
    MethodNotAllowedError,
    NotImplementedS3Error,
)
from fileloft_fast.storages.paths import LONGEST_PATH_BYTES

if TYPE_CHECKING:
    from fileloft_fast.model import Body, RequestHead
    from fileloft_fast.s3front.signature import Signed
    from fileloft_fast.storages.named import NamedStorage


class Operation(Enum):
    """What can be asked for."""

    LIST_BUCKETS = auto()
    HEAD_BUCKET = auto()
    LOCATE_BUCKET = auto()
    LIST_OBJECTS = auto()
    LIST_UPLOADS = auto()
    DELETE_OBJECTS = auto()
    GET_OBJECT = auto()
    PUT_OBJECT = auto()
    DELETE_OBJECT = auto()
    BEGIN_UPLOAD = auto()
    PUT_PART = auto()
    LIST_PARTS = auto()
    COMPLETE_UPLOAD = auto()
    ABORT_UPLOAD = auto()


class _Place(Enum):
    SERVICE = auto()
    BUCKET = auto()
    OBJECT = auto()


_OPERATIONS: Final[Mapping[tuple[_Place, str, str], Operation]] = {
    (_Place.SERVICE, "GET", ""): Operation.LIST_BUCKETS,
    (_Place.BUCKET, "HEAD", ""): Operation.HEAD_BUCKET,
    (_Place.BUCKET, "GET", ""): Operation.LIST_OBJECTS,
    (_Place.BUCKET, "GET", "location"): Operation.LOCATE_BUCKET,
    (_Place.BUCKET, "GET", "uploads"): Operation.LIST_UPLOADS,
    (_Place.BUCKET, "POST", "delete"): Operation.DELETE_OBJECTS,
    (_Place.OBJECT, "GET", ""): Operation.GET_OBJECT,
    (_Place.OBJECT, "HEAD", ""): Operation.GET_OBJECT,
    (_Place.OBJECT, "PUT", ""): Operation.PUT_OBJECT,
    (_Place.OBJECT, "DELETE", ""): Operation.DELETE_OBJECT,
    (_Place.OBJECT, "POST", "uploads"): Operation.BEGIN_UPLOAD,
    (_Place.OBJECT, "PUT", "partNumber&uploadId"): Operation.PUT_PART,
    (_Place.OBJECT, "GET", "uploadId"): Operation.LIST_PARTS,
    (_Place.OBJECT, "POST", "uploadId"): Operation.COMPLETE_UPLOAD,
    (_Place.OBJECT, "DELETE", "uploadId"): Operation.ABORT_UPLOAD,
}

_SUBRESOURCES: Final = frozenset(
    {
        "accelerate", "acl", "analytics", "append", "attributes", "cors", "delete", "encryption",
        "intelligent-tiering", "inventory", "legal-hold", "lifecycle", "location", "logging",
        "metrics", "notification", "object-lock", "ownershipControls", "partNumber", "policy",
        "policyStatus", "publicAccessBlock", "renameObject", "replication", "requestPayment",
        "restore", "retention", "select", "session", "tagging", "torrent", "uploadId", "uploads",
        "versionId", "versioning", "versions", "website",
    }
)  # fmt: skip
"""Parameters that make another operation of a request (API reference, and no list of SDKs)."""

_UNKNOWN_FIELDS: Final = (
    "x-amz-copy-source",
    "x-amz-grant-",
    "x-amz-object-lock-",
    "x-amz-server-side-encryption",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
)
"""Fields whose meaning would be lost; ``x-amz-acl`` is not among them, as Serverpod sends it."""


class Asked(Struct, frozen=True):
    """A verified request; ``bucket`` and ``key`` are "" where it names none."""

    head: RequestHead
    body: Body
    signed: Signed
    bucket: str
    key: str
    query: Mapping[str, str]

    def value(self, name: str) -> str:
        """Return a parameter, "" where it was not sent."""
        return self.query.get(name, "")

    def number(self, name: str, default: int, most: int) -> int:
        """Return a parameter that is a number, *most* for any larger one."""
        text = self.query.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= 10):
            raise InvalidArgumentError(
                f"{name} must be a number.", ArgumentName=name, ArgumentValue=text
            )
        return min(int(text), most)

    @property
    def in_url_form(self) -> bool:
        """Whether names are to be encoded in the answer, as in a URL."""
        wanted = self.value("encoding-type")
        if wanted not in {"", "url"}:
            raise InvalidArgumentError(
                "encoding-type must be url.", ArgumentName="encoding-type", ArgumentValue=wanted
            )
        return wanted == "url"


def operation_of(asked: Asked) -> Operation:
    """Return what is asked for; raises S3Error for what cannot be."""
    place = _Place.SERVICE
    if asked.bucket:
        place = _Place.OBJECT if asked.key else _Place.BUCKET
    named = "&".join(sorted(_SUBRESOURCES & asked.query.keys()))
    operation = _OPERATIONS.get((place, asked.head.method, named))
    if operation is None and named:
        raise NotImplementedS3Error(f"{asked.head.method} with {named} is not implemented here.")
    if operation is None:
        raise MethodNotAllowedError(Method=asked.head.method)
    for field in asked.head.headers:
        if field.startswith(_UNKNOWN_FIELDS):
            raise NotImplementedS3Error(f"{field} is not implemented here.")
    return operation


def check_key(storage: NamedStorage, key: str) -> str:
    """Return *key* if an object may have it. Raises KeyTooLongError, InvalidPathError."""
    if len(key.encode(errors="surrogateescape")) > LONGEST_PATH_BYTES:
        raise KeyTooLongError(MaxSizeAllowed=str(LONGEST_PATH_BYTES))
    return storage.check_path(key)
