"""Decide what a request means before a byte of its body is read: an effect, or a refusal.

``plan`` looks at the head alone; the other ``plan_`` functions weigh what it returned against what
the store knows. No bytes move here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from fileloft_fast.errors import (
    ConcatenationError,
    ExtensionDisabledError,
    FinalUploadError,
    InvalidHeaderError,
    MethodNotAllowedError,
    OffsetConflictError,
    TooLargeError,
    UploadGoneError,
    UploadNotFoundError,
    VersionError,
)
from fileloft_fast.model import (
    NO_METADATA,
    Capability,
    Checksum,
    Concat,
    Offset,
    RequestHead,
    UploadId,
    UploadInfo,
)
from fileloft_fast.tus.effects import (
    IDENTITY,
    Append,
    Coding,
    Concatenate,
    Create,
    Download,
    Effect,
    Inspect,
    Options,
    Terminate,
)
from fileloft_fast.tus.headers import (
    parse_body_type,
    parse_checksum,
    parse_coding,
    parse_concat_urls,
    parse_count,
    parse_length,
    parse_metadata,
    parse_trailer,
)
from fileloft_fast.tus.location import is_under_base, parse_target, parse_upload_url
from fileloft_fast.tus.rules import TUS_VERSION, TusRules
from fileloft_fast.tus.states import Event, State, state_of, step

_OVERRIDES: Final = frozenset({"POST", "HEAD", "PATCH", "DELETE", "OPTIONS"})
_OPTIONS: Final = Options()

# Names of the module: before Python 3.12, a look at an enum's member costs as much as a call.
_CREATION: Final = Capability.CREATION
_WITH_UPLOAD: Final = Capability.CREATION_WITH_UPLOAD
_ALONE: Final = Concat.NONE
_PARTIAL: Final = Concat.PARTIAL


class AppendPlan(Struct, frozen=True):
    """What an append may do: begin at ``offset`` and bring at most ``room`` bytes.

    ``length`` is the upload's length from now on, None while it is deferred. ``room`` is None where
    nothing bounds the body. A body that runs past ``room`` is TooLargeError, whoever counts it.
    ``awaits_end`` is what the upload's is while the body comes: bytes alone do not complete it.
    """

    offset: Offset
    length: int | None
    room: int | None
    awaits_end: bool = False


def plan(head: RequestHead, rules: TusRules) -> Effect:
    """Return what *head* asks for. Raises WireError for what this server refuses by the head."""
    method = _method(head)
    if method == "OPTIONS":
        if not is_under_base(head.path, rules):
            raise UploadNotFoundError("no such upload")
        return _OPTIONS
    upload = parse_target(head.path, rules)
    if upload is None:
        if method != "POST":
            raise MethodNotAllowedError("POST, OPTIONS")
        _check_version(head, needed=True)
        return _plan_creation(head, rules)
    planned = _ON_UPLOAD.get(method)
    if planned is None or (method == "GET" and Capability.DOWNLOAD not in rules.capabilities):
        raise MethodNotAllowedError(allow_on_upload(rules))
    # tus 1.0 wants the version on every request; browsers visit an upload's URL without (T006).
    _check_version(head, needed=method not in {"HEAD", "GET"})
    return planned(head, upload, rules)


def allow_on_upload(rules: TusRules) -> str:
    """Return ``Allow`` for an upload's URL."""
    methods = ["HEAD", "PATCH"]
    if Capability.TERMINATION in rules.capabilities:
        methods.append("DELETE")
    if Capability.DOWNLOAD in rules.capabilities:
        methods.append("GET")
    return ", ".join((*methods, "OPTIONS"))


def _method(head: RequestHead) -> str:
    """Return the method that counts: a POST may stand for another one (T040 to T045)."""
    if head.method != "POST":
        return head.method
    override = head.headers.get("x-http-method-override")
    if override is None:
        return "POST"
    if override not in _OVERRIDES:
        raise InvalidHeaderError("X-HTTP-Method-Override names no method of tus")
    return override


def _check_version(head: RequestHead, *, needed: bool) -> None:
    version = head.headers.get("tus-resumable")
    if version != TUS_VERSION and (needed or version is not None):
        raise VersionError(f"Tus-Resumable is not {TUS_VERSION}")


def _check_offered(capability: Capability, rules: TusRules) -> None:
    if capability not in rules.capabilities:
        raise ExtensionDisabledError(f"the extension {capability.value} is switched off")


# -- the collection -------------------------------------------------------------------------------


def _plan_creation(head: RequestHead, rules: TusRules) -> Create | Concatenate:
    _check_offered(_CREATION, rules)
    fields = head.headers
    has_body = head.chunked or head.content_length != 0
    raw = fields.get("upload-metadata")
    metadata = NO_METADATA if raw is None else parse_metadata(raw)
    concat, concat_raw = _ALONE, fields.get("upload-concat", "")
    if "upload-concat" in fields:
        _check_offered(Capability.CONCATENATION, rules)
        urls = parse_concat_urls(concat_raw)
        if urls is not None:
            if has_body:
                raise FinalUploadError("a final upload takes no bytes")
            partials = tuple(parse_upload_url(url, head, rules) for url in urls)
            return Concatenate(partials, metadata, concat_raw)
        concat = Concat.PARTIAL
    deferral = fields.get("upload-defer-length")
    if deferral is not None:
        _check_offered(Capability.CREATION_DEFER_LENGTH, rules)
    length = parse_length(fields.get("upload-length"), deferral)
    if length is not None and rules.max_size and length > rules.max_size:
        raise TooLargeError(f"Upload-Length is more than {rules.max_size}")
    checksum, in_trailer = _checksum(head, rules)
    if not has_body:
        return Create(length=length, metadata=metadata, concat=concat, concat_raw=concat_raw)
    coding = _body_coding(head)
    _check_offered(_WITH_UPLOAD, rules)
    size = _size(head, coding)
    _check_room(size, _room(Offset(0), length, rules))
    return Create(
        length=length,
        metadata=metadata,
        concat=concat,
        concat_raw=concat_raw,
        has_body=True,
        size=size,
        checksum=checksum,
        checksum_trailer=in_trailer,
        coding=coding,
    )


def _body_coding(head: RequestHead) -> Coding:
    """Return the coding of a body of upload bytes; refuse any other body."""
    parse_body_type(head.headers.get("content-type"))
    return parse_coding(head.headers.get("content-encoding"))


def _size(head: RequestHead, coding: Coding) -> int | None:
    """Return the number of decoded body bytes, where the head tells."""
    return head.content_length if coding is IDENTITY and not head.chunked else None


def _checksum(head: RequestHead, rules: TusRules) -> tuple[Checksum | None, bool]:
    """Return the checksum in the head, and whether the trailer brings one."""
    fields = head.headers
    value, trailer = fields.get("upload-checksum"), fields.get("trailer")
    if value is None and trailer is None:
        return None, False
    announced = parse_trailer(trailer)
    if value is None and not announced:
        return None, False
    _check_offered(Capability.CHECKSUM, rules)
    if not announced:
        assert value is not None
        return parse_checksum(value, rules.algorithms), False
    _check_offered(Capability.CHECKSUM_TRAILER, rules)
    if value is not None:
        raise InvalidHeaderError("Upload-Checksum is in the head and announced for the trailer")
    if not head.chunked:
        raise InvalidHeaderError("Trailer: only a chunked body has a trailer")
    return None, True


# -- one upload -----------------------------------------------------------------------------------


def _plan_patch(head: RequestHead, upload: UploadId, rules: TusRules) -> Append:
    fields = head.headers
    coding = _body_coding(head)
    offset = fields.get("upload-offset")
    if offset is None:
        raise InvalidHeaderError("Upload-Offset is missing")
    length = fields.get("upload-length")
    checksum, in_trailer = _checksum(head, rules)
    return Append(
        upload,
        Offset(parse_count("Upload-Offset", offset)),
        None if length is None else parse_count("Upload-Length", length),
        _size(head, coding),
        checksum,
        in_trailer,
        coding,
    )


def _plan_head(_head: RequestHead, upload: UploadId, _rules: TusRules) -> Inspect:
    return Inspect(upload)


def _plan_delete(_head: RequestHead, upload: UploadId, rules: TusRules) -> Terminate:
    _check_offered(Capability.TERMINATION, rules)
    return Terminate(upload)


def _plan_get(_head: RequestHead, upload: UploadId, _rules: TusRules) -> Download:
    return Download(upload)


_ON_UPLOAD: Final[Mapping[str, Callable[[RequestHead, UploadId, TusRules], Effect]]] = {
    "HEAD": _plan_head,
    "PATCH": _plan_patch,
    "DELETE": _plan_delete,
    "GET": _plan_get,
}


# -- against what the store knows -----------------------------------------------------------------


def plan_create(wanted: Create, rules: TusRules) -> AppendPlan:
    """Return what the body of a creation may bring; nothing is left to refuse."""
    return AppendPlan(Offset(0), wanted.length, _room(Offset(0), wanted.length, rules))


def plan_append(info: UploadInfo, wanted: Append, rules: TusRules) -> AppendPlan:
    """Return what *wanted* may do to the upload.

    Raises FinalUploadError, OffsetConflictError, InvalidHeaderError for a length that may not be
    set, and TooLargeError. Expiry is ``check_expired``'s.
    """
    state = state_of(info)
    if state is State.FINAL:
        step(state, Event.RECEIVE)
    if wanted.offset != info.offset:
        raise OffsetConflictError(expected=info.offset, got=wanted.offset)
    length = info.length
    if wanted.declared_length is not None and wanted.declared_length != length:
        state = step(state, Event.DECLARE)
        length = wanted.declared_length
        _check_declared(length, wanted, rules)
    room = _room(info.offset, length, rules)
    if wanted.size:
        step(state, Event.FILL if length is not None and wanted.size == room else Event.RECEIVE)
    _check_room(wanted.size, room)
    return AppendPlan(info.offset, length, room)


def _check_declared(length: int, wanted: Append, rules: TusRules) -> None:
    if rules.max_size and length > rules.max_size:
        raise TooLargeError(f"Upload-Length is more than {rules.max_size}")
    if length < wanted.offset + (wanted.size or 0):
        raise InvalidHeaderError("Upload-Length is less than what the upload holds")


def _room(offset: Offset, length: int | None, rules: TusRules) -> int | None:
    if length is not None:
        return length - offset
    return max(rules.max_size - offset, 0) if rules.max_size else None


def _check_room(size: int | None, room: int | None) -> None:
    if size is not None and room is not None and size > room:
        raise TooLargeError(f"the body is longer than the {room} bytes that are left")


def plan_concatenation(
    wanted: Concatenate, infos: Sequence[UploadInfo | None], rules: TusRules
) -> int:
    """Return the length of the final upload; *infos* are its partials in order, None for unknown.

    Raises ConcatenationError, or TooLargeError for a sum that is more than the server takes.
    """
    assert len(infos) == len(wanted.partials)
    length = 0
    for info in infos:
        step(State.ABSENT if info is None else state_of(info), Event.JOIN)
        assert info is not None
        if info.concat is not Concat.PARTIAL:
            raise ConcatenationError("Upload-Concat names an upload that is not a partial one")
        length += info.offset
    if rules.max_size and length > rules.max_size:
        raise TooLargeError(f"the uploads together are more than {rules.max_size} bytes")
    return length


def check_download(info: UploadInfo) -> None:
    """Raise NotReadyError unless the upload is finished, so that its bytes can be sent."""
    step(state_of(info), Event.READ)


def expiry(info: UploadInfo, *, finished_too: bool = False) -> float | None:
    """Return when the upload expires, in seconds since the epoch; None for never.

    A finished upload stays, unless *finished_too*. A finished partial upload still expires: it is
    not what its client wanted to keep (T187).
    """
    if info.complete and info.concat is not _PARTIAL and not finished_too:
        return None
    return info.expires_at


def check_expired(info: UploadInfo, now: float, *, finished_too: bool = False) -> None:
    """Raise UploadGoneError where the upload's time was over at *now*, seconds since the epoch."""
    at = expiry(info, finished_too=finished_too)
    if at is not None and at <= now:
        raise UploadGoneError("the upload has expired")
