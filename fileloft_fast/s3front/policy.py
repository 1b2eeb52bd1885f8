"""POST policies: whether a form is signed with one of our keys, and what its upload is bound to.

S3 API reference, "Browser-Based Uploads Using POST". The signature is over the policy's base64, and
the policy says what the other fields of the form may be.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from fileloft_fast.s3front.claim import ALGORITHM, parse_scope, parse_timestamp
from fileloft_fast.s3front.codes import (
    AccessDeniedError,
    EntityTooLargeError,
    EntityTooSmallError,
    InvalidAccessKeyIdError,
    InvalidArgumentError,
    InvalidPolicyDocumentError,
    SignatureDoesNotMatchError,
)
from fileloft_fast.s3front.signature import MAX_SKEW_S, is_signature, signing_key

_REQUIRED: Final = ("key", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")
# What a form may have without a condition; the file itself is no field here.
_FREE: Final = frozenset({"x-amz-signature", "policy"})
_META: Final = "x-amz-meta-"
_STATUSES: Final = {"200": 200, "201": 201}
_LARGEST: Final = 2**63 - 1
# Serverpod writes milliseconds that are always 0, the RustFS package microseconds.
_is_expiration: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII
).fullmatch


@dataclass(frozen=True, slots=True)
class FormUpload:
    """What the upload of a signed form is bound to; ``status`` is that of its answer.

    ``metadata`` are the fields that begin with ``x-amz-meta-``, named by what comes after that.
    ``acl`` has no meaning here, whatever a form says: a storage is public, or it is not.
    """

    access_key: str
    key: str
    smallest: int
    largest: int
    content_type: str
    metadata: tuple[tuple[str, str], ...]
    status: int

    def check_size(self, size: int) -> None:
        """Raise EntityTooSmallError or EntityTooLargeError where *size* bytes are not allowed."""
        if size < self.smallest:
            raise EntityTooSmallError(ProposedSize=str(size), MinSizeAllowed=str(self.smallest))
        if size > self.largest:
            raise EntityTooLargeError(ProposedSize=str(size), MaxSizeAllowed=str(self.largest))


@dataclass(frozen=True, slots=True)
class Condition:
    """What one field must be: ``operator`` is ``eq`` or ``starts-with``."""

    operator: str
    name: str
    value: str

    def holds(self, fields: Mapping[str, str]) -> bool:
        """Return whether *fields* meet it; one that is missing begins with nothing."""
        if self.operator == "eq":
            return fields.get(self.name) == self.value
        return fields.get(self.name, "").startswith(self.value)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy: when it ends, its conditions, and the sizes that a file may have."""

    expires_s: int
    conditions: tuple[Condition, ...]
    smallest: int
    largest: int


def verify_form(
    fields: Iterable[tuple[str, str]],
    bucket: str,
    secrets: Mapping[str, str],
    now_s: float,
    file_name: str = "",
) -> FormUpload:
    """Return what the upload of a form to *bucket* is bound to; raises S3Error.

    *fields* are those before the file, as S3 ignores the others; *file_name* is the file's, for
    which ``${filename}`` in the key stands.
    """
    form = _lower_fields(fields, bucket)
    access_key = _verify_signature(form, secrets, now_s)
    form["key"] = form["key"].replace("${filename}", re.split(r"[/\\]", file_name)[-1])
    policy = parse_policy(form["policy"])
    if now_s > policy.expires_s:
        raise AccessDeniedError("Invalid according to Policy: Policy expired.")
    _check_conditions(form, policy)
    return FormUpload(
        access_key,
        form["key"],
        policy.smallest,
        policy.largest,
        form.get("content-type", ""),
        tuple(
            (name.removeprefix(_META), value)
            for name, value in form.items()
            if name.startswith(_META)
        ),
        _STATUSES.get(form.get("success_action_status", ""), 204),
    )


def _lower_fields(fields: Iterable[tuple[str, str]], bucket: str) -> dict[str, str]:
    form: dict[str, str] = {}
    for name, value in fields:
        if name.lower() in form:
            raise InvalidArgumentError("A field of the form comes twice.", ArgumentName=name)
        form[name.lower()] = value
    if "policy" not in form:
        raise AccessDeniedError
    for name in _REQUIRED:
        if name not in form:
            raise InvalidArgumentError(
                f"Bucket POST must contain a field named '{name}'. If it is specified, please "
                "check the order of the fields.",
                ArgumentName=name,
            )
    # The bucket is the one of the URL; a field can but say the same.
    if form.setdefault("bucket", bucket) != bucket:
        raise AccessDeniedError("The form is for another bucket.")
    return form


def _verify_signature(form: Mapping[str, str], secrets: Mapping[str, str], now_s: float) -> str:
    """Return the access key that signed the policy."""
    signed_s = parse_timestamp(form["x-amz-date"])
    if form["x-amz-algorithm"] != ALGORITHM or signed_s is None:
        raise InvalidArgumentError("x-amz-algorithm or x-amz-date is not that of Signature V4.")
    scope = parse_scope(form["x-amz-credential"], form["x-amz-date"], InvalidArgumentError)
    secret = secrets.get(scope.access_key)
    if secret is None:
        raise InvalidAccessKeyIdError(AWSAccessKeyId=scope.access_key)
    key = signing_key(secret, scope.date, scope.region)
    if not (
        form["policy"].isascii() and is_signature(key, form["policy"], form["x-amz-signature"])
    ):
        raise SignatureDoesNotMatchError(AWSAccessKeyId=scope.access_key)
    # How long ago is the policy's business: it has an expiration.
    if signed_s > now_s + MAX_SKEW_S:
        raise AccessDeniedError("Request is not yet valid.")
    return scope.access_key


def _check_conditions(form: Mapping[str, str], policy: Policy) -> None:
    for condition in policy.conditions:
        if not condition.holds(form):
            text = json.dumps([condition.operator, f"${condition.name}", condition.value])
            raise AccessDeniedError(f"Invalid according to Policy: Policy Condition failed: {text}")
    covered = _FREE.union(condition.name for condition in policy.conditions)
    extra = sorted(
        name for name in form if name not in covered and not name.startswith("x-ignore-")
    )
    if extra:
        raise AccessDeniedError(
            f"Invalid according to Policy: Extra input fields: {', '.join(extra)}"
        )


# -- the document -----------------------------------------------------------------------------


def parse_policy(coded: str) -> Policy:
    """Return the policy of base64 text; raises InvalidPolicyDocumentError."""
    try:
        document = msgspec.json.decode(a2b_base64(coded, strict_mode=True))
    except (ValueError, RecursionError):  # binascii.Error and msgspec's are ValueErrors
        raise InvalidPolicyDocumentError("The policy is not base64 of JSON.") from None
    match document:
        case {"expiration": str(expiration), "conditions": list(rows), **rest} if not rest:
            pass
        case _:
            raise InvalidPolicyDocumentError("A policy has an expiration and conditions.")
    smallest, largest = 0, _LARGEST
    conditions: list[Condition] = []
    for row in rows:
        match row:
            case ["content-length-range", low, high]:
                smallest = max(smallest, _parse_size(low))
                largest = min(largest, _parse_size(high))
            case _:
                conditions.append(_parse_condition(row))
    return Policy(_parse_expiration(expiration), tuple(conditions), smallest, largest)


def _parse_condition(row: object) -> Condition:
    match row:
        case ["eq" | "starts-with" as operator, str(name), str(value)] if name.startswith("$"):
            return Condition(operator, name[1:].lower(), value)
        case dict() if len(row) == 1:
            [(name, value)] = row.items()
            if isinstance(name, str) and isinstance(value, str):
                return Condition("eq", name.lower(), value)
    raise InvalidPolicyDocumentError(f"Invalid condition: {json.dumps(row)}")


def _parse_size(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    raise InvalidPolicyDocumentError("A content-length-range is two sizes in bytes.")


def _parse_expiration(text: str) -> int:
    """Return the last second of the policy: a fraction is not counted."""
    if not _is_expiration(text):
        raise InvalidPolicyDocumentError("The expiration is not like 2013-05-24T00:00:00.000Z.")
    try:
        return int(datetime.fromisoformat(f"{text[:19]}+00:00").timestamp())
    except ValueError:
        raise InvalidPolicyDocumentError("The expiration is no time.") from None
