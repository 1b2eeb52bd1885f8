"""What hooks are told of a request and an upload, in tusd's words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from fileloft_fast.config import HookEvent
from fileloft_fast.hooks.wire import (
    HookHttpRequest,
    HookOccasion,
    HookRequest,
    HookUpload,
)
from fileloft_fast.model import Concat
from fileloft_fast.stores.running import texts_of_digests

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead, UploadInfo

Places = Callable[["UploadInfo"], Mapping[str, str]]
"""Tells where an upload is kept: tusd's ``Storage``."""

REDACTED: Final = "REDACTED"

# A name that says so, or a value that looks like a token: whoever reads hooks and their logs must
# not be able to act for the client.
_SECRET_NAME: Final = re.compile(
    r"token|grant|secret|sig|key|auth|pass|jwt|cred|session|code", re.IGNORECASE
)
_SECRET_VALUE: Final = re.compile(r"eyJ[\w-]+|[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?")


def describe(
    event: HookEvent, head: RequestHead | None, info: UploadInfo | None, places: Places
) -> HookRequest:
    """Return what to tell of *info* at *event*; *head* is None where no request is the cause.

    Before it is created an upload has no id and no storage.
    """
    if info is None:
        upload = HookUpload()
    elif event is HookEvent.PRE_CREATE:
        upload = _upload(info)
    else:
        upload = describe_upload(info, places)
    request = HookHttpRequest() if head is None else describe_request(head)
    return HookRequest(type=event.value, event=HookOccasion(upload=upload, http_request=request))


def describe_upload(info: UploadInfo, places: Places) -> HookUpload:
    """Return what to tell of an upload that there is."""
    upload = _upload(info)
    upload.id = info.id
    upload.storage = dict(places(info))
    return upload


def describe_request(head: RequestHead) -> HookHttpRequest:
    """Return the request as tusd tells of it, without the secrets of its query.

    Nor with a token that was verified here: what a hook is told may lie in the outbox for days.
    """
    told = head.headers
    if head.permit is not None:
        told = {name: value for name, value in told.items() if name != "authorization"}
    return HookHttpRequest(
        method=head.headers.get("x-http-method-override") or head.method
        if head.method == "POST"
        else head.method,
        uri=f"{head.path}?{redact(head.query)}" if head.query else head.path,
        remote_addr=head.peer.address,
        header={canonical(name): [value] for name, value in told.items()},
    )


def idempotency_key(event: HookEvent, info: UploadInfo) -> str:
    """Return the same key each time that *event* of this one upload is told, by any process."""
    text = f"{event.value}\n{info.id}\n{info.created_at:.6f}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@lru_cache(maxsize=512)
def canonical(name: str) -> str:
    """Return a field's name as Go writes it: Upload-Length."""
    return "-".join(part.capitalize() for part in name.split("-"))


def redact(query: str) -> str:
    """Return *query* with the values that may be secret replaced; no order is changed."""
    return "&".join(map(_redacted, query.split("&")))


def _redacted(pair: str) -> str:
    name, equals, value = pair.partition("=")
    if not equals:
        return REDACTED if _SECRET_VALUE.search(name) else name
    if _SECRET_NAME.search(name) or _SECRET_VALUE.search(value):
        return f"{name}={REDACTED}"
    return pair


def _upload(info: UploadInfo) -> HookUpload:
    return HookUpload(
        size=info.length or 0,
        size_is_deferred=info.length is None,
        offset=info.offset,
        metadata={key: value.decode("utf-8", "replace") for key, value in info.metadata.pairs},
        is_partial=info.concat is Concat.PARTIAL,
        is_final=info.concat is Concat.FINAL,
        partial_uploads=list(info.partials) or None,
        owner=info.owner or UNSET,
        digests=texts_of_digests(info.digests) or UNSET,
    )
