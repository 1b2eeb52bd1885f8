"""Decide what a request means before a byte of its body is read: an effect, or a refusal.

``claim`` says whether a request is this protocol's at all, ``plan`` what it asks for, and
``plan_create``, ``plan_append`` and ``plan_end`` weigh that against what the store knows.
"""

from collections.abc import Callable, Mapping
from typing import Final

from fileloft_fast.errors import (
    CompletedUploadError,
    ContentTypeError,
    ExtensionDisabledError,
    InconsistentLengthError,
    InvalidHeaderError,
    MethodNotAllowedError,
    OffsetConflictError,
    OverrunError,
    TooLargeError,
    TooSmallError,
    UploadNotFoundError,
)
from fileloft_fast.model import (
    Capability,
    Checksum,
    Offset,
    RequestHead,
    ResumableMode,
    UploadId,
    UploadInfo,
)
from fileloft_fast.resumable.digests import parse_digests, parse_wish
from fileloft_fast.resumable.headers import (
    FLAGS,
    INTEROP,
    LARGEST,
    PARTIAL,
    is_partial_type,
    maybe_count,
    maybe_ends,
    maybe_version,
)
from fileloft_fast.resumable.metadata import representation_metadata
from fileloft_fast.resumable.rules import ResumableRules
from fileloft_fast.resumable.versions import FINAL, Version
from fileloft_fast.resumable.wanted import ResumptionPlan, Wanted
from fileloft_fast.tus.effects import Append, Create, Inspect, Options, Terminate
from fileloft_fast.tus.headers import OFFSET_STREAM
from fileloft_fast.tus.location import is_under_base, parse_target
from fileloft_fast.tus.states import Event, State, state_of, step

BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
"""Methods whose content has no meaning (RFC 9110), so that nothing is created by them."""

_OF_APPENDS: Final = ("upload-offset", "upload-complete", "upload-incomplete", "upload-length")
# Names of the module: before Python 3.12, a look at an enum's member costs as much as a call.
_CREATION: Final = Capability.CREATION
_OFF: Final = ResumableMode.OFF
_ON: Final = ResumableMode.ON


def claim(head: RequestHead, rules: ResumableRules) -> Version | None:
    """Return the version of *head*; None where another protocol, or none, is spoken.

    A version that is spoken here decides, beside ``Tus-Resumable`` too (I35), but for a PATCH
    that is tus's by its type. Without one it is the final form where that is on, and the fields
    leave no other reading.
    """
    number = head.headers.get(INTEROP)
    if number is None:  # nothing but a look-up on the way of every request of tus
        if rules.mode is not _ON or "tus-resumable" in head.headers or not _is_final(head, rules):
            return None
        return FINAL
    version = None if rules.mode is _OFF else maybe_version(number)
    if version is None or (head.method == "PATCH" and _is_of_tus(head.headers)):
        return None
    if head.method == "POST" and head.headers.get(version.field) in FLAGS:
        return version  # as nearly every creation is sent
    return version if _is_draft(head, version, rules) else None


def claim_creation(head: RequestHead, rules: ResumableRules) -> Version | None:
    """Return the version of a creation at a target that another room has; see ``claim``."""
    number = head.headers.get(INTEROP)
    if number is not None:
        version = None if rules.mode is _OFF else maybe_version(number)
    else:
        version = FINAL if rules.mode is _ON and "tus-resumable" not in head.headers else None
    return version if version is not None and _creates(head, version) else None


def _is_of_tus(fields: Mapping[str, str]) -> bool:
    """Whether a PATCH is of a client of tus whose operating system has put the version in.

    iOS and macOS offer the draft with upload tasks, by which TUSKit sends its parts.
    """
    return "tus-resumable" in fields and fields.get("content-type") == OFFSET_STREAM


def _is_draft(head: RequestHead, version: Version, rules: ResumableRules) -> bool:
    if head.method == "OPTIONS":
        # With the field it would be a request for something else than limits.
        return version.field not in head.headers
    return head.path not in rules.tus.collection or _creates(head, version)


def _is_final(head: RequestHead, rules: ResumableRules) -> bool:
    if head.path in rules.tus.collection:
        return _creates(head, FINAL)
    if head.method == "PATCH":
        fields = head.headers
        return FINAL.field in fields or is_partial_type(fields.get("content-type"))
    # Neither needs a field in the final form. GET stays a download, OPTIONS tus's, with our limits.
    return head.method in {"HEAD", "DELETE"}


def _creates(head: RequestHead, version: Version) -> bool:
    return head.method not in BODILESS and maybe_ends(head.headers, version) is not None


def plan(head: RequestHead, version: Version, rules: ResumableRules) -> Wanted:
    """Return what *head*, which ``claim`` takes for *version*, asks for. Raises WireError."""
    if head.method == "OPTIONS":
        if not is_under_base(head.path, rules.tus):
            raise UploadNotFoundError("no such upload")
        return Wanted(effect=Options(), version=version)
    upload = parse_target(head.path, rules.tus)
    if upload is None:
        return plan_creation(head, version, rules)
    planned = _ON_UPLOAD.get(head.method)
    if planned is None or (head.method == "DELETE" and not _terminates(rules)):
        raise MethodNotAllowedError(allow_on_upload(rules))
    return planned(head, version, upload, rules)


def allow_on_upload(rules: ResumableRules) -> str:
    """Return ``Allow`` for an upload's URL."""
    return ", ".join(
        method for method in (*_ON_UPLOAD, "OPTIONS") if method != "DELETE" or _terminates(rules)
    )


def _terminates(rules: ResumableRules) -> bool:
    return Capability.TERMINATION in rules.tus.capabilities


# -- creation -------------------------------------------------------------------------------------


def plan_creation(head: RequestHead, version: Version, rules: ResumableRules) -> Wanted:
    """Return the creation that a request for any target asks for. Raises WireError."""
    if _CREATION not in rules.tus.capabilities:
        raise ExtensionDisabledError("the extension creation is switched off")
    fields = head.headers
    ends = maybe_ends(fields, version)
    assert ends is not None, "claimed without the field"
    size = head.content_length  # as they are stored, coded or not (Content Codings)
    length = _length(fields, Offset(0), size, ends=ends)
    _check_total(length, rules)
    if size is not None and length is not None and size > length:
        raise InconsistentLengthError("the content is longer than Upload-Length")
    if size != 0:
        _check_append_size(size, rules, ends=ends)
    resumes = not (rules.min_size and ends and (length is None or length < rules.min_size))
    if not ends and length is not None and length < rules.min_size:
        raise TooSmallError(f"uploads of less than {rules.min_size} bytes are not resumed")
    told, wish = fields.get("repr-digest"), fields.get("want-repr-digest")
    return Wanted(
        effect=Create(
            length=length,
            metadata=representation_metadata(fields),
            has_body=size != 0,
            size=size,
            checksum=_content_digest(fields) if size != 0 else None,
        ),
        version=version,
        ends=ends,
        announces=resumes and rules.may_announce(head),
        # Few send these, and a call is dear.
        representation=parse_digests("Repr-Digest", told) if told is not None else (),
        wishes=parse_wish(wish) if wish is not None else (),
    )


def plan_create(wanted: Wanted, rules: ResumableRules) -> ResumptionPlan:
    """Return what the body of a creation may bring; nothing is left to refuse."""
    effect = wanted.effect
    assert isinstance(effect, Create)
    return ResumptionPlan(
        Offset(0),
        effect.length,
        _room(Offset(0), effect.length, rules),
        awaits_end=awaits_end_of(effect, wanted, effect.length),
    )


# -- one upload -----------------------------------------------------------------------------------


def _plan_append(
    head: RequestHead, version: Version, upload: UploadId, rules: ResumableRules
) -> Wanted:
    fields = head.headers
    if version.partial_type and not is_partial_type(fields.get("content-type")):
        raise ContentTypeError(f"the body is not {PARTIAL}")
    offset = maybe_count(fields.get("upload-offset"))
    if offset is None:
        raise InvalidHeaderError("Upload-Offset is missing, or not a non-negative integer")
    ends = maybe_ends(fields, version)
    if ends is None:
        if not version.silence_ends or version.field in fields:
            raise InvalidHeaderError("Upload-Complete is missing, or not a boolean")
        ends = True
    size = head.content_length  # as they are stored, coded or not (Content Codings)
    length = _length(fields, Offset(offset), size, ends=ends)
    _check_append_size(size, rules, ends=ends)
    checksum = _content_digest(fields) if size != 0 else None
    return Wanted(
        effect=Append(upload, Offset(offset), length, size, checksum), version=version, ends=ends
    )


def _plan_lookup(
    head: RequestHead, version: Version, upload: UploadId, _rules: ResumableRules
) -> Wanted:
    _check_lookup(head, version)
    return Wanted(effect=Inspect(upload), version=version)


def _plan_delete(
    head: RequestHead, version: Version, upload: UploadId, _rules: ResumableRules
) -> Wanted:
    _check_lookup(head, version)
    return Wanted(effect=Terminate(upload), version=version)


def _check_lookup(head: RequestHead, version: Version) -> None:
    """Refuse what the drafts before interop 7 want refused (I18)."""
    if version.strict_lookups and any(name in head.headers for name in _OF_APPENDS):
        raise InvalidHeaderError(f"{head.method} takes no field of an append")


_ON_UPLOAD: Final[
    Mapping[str, Callable[[RequestHead, Version, UploadId, ResumableRules], Wanted]]
] = {
    "HEAD": _plan_lookup,
    "GET": _plan_lookup,
    "PATCH": _plan_append,
    "DELETE": _plan_delete,
}


# -- against what the store knows -----------------------------------------------------------------


def plan_append(info: UploadInfo, wanted: Wanted, rules: ResumableRules) -> ResumptionPlan:
    """Return what an append may do to the upload.

    Raises FinalUploadError, CompletedUploadError, OffsetConflictError, InconsistentLengthError,
    OverrunError, after which the upload is void where ``version.overrun_voids``, and TooLargeError.
    """
    effect = wanted.effect
    assert isinstance(effect, Append)
    if state_of(info) is State.FINAL:
        step(State.FINAL, Event.RECEIVE)
    if info.complete and not wanted.version.replays:
        raise CompletedUploadError("the upload is complete")
    if effect.offset != info.offset:
        raise OffsetConflictError(expected=info.offset, got=effect.offset)
    if info.complete:
        return _plan_replay(info, effect, wanted)
    length = _agreed_length(info, effect)
    _check_total(length, rules)
    room = _room(info.offset, length, rules)
    if effect.size is not None and effect.size > room:
        raise exceeded(info.offset, length, rules)
    return ResumptionPlan(
        info.offset, length, room, awaits_end=awaits_end_of(effect, wanted, length)
    )


def _plan_replay(info: UploadInfo, effect: Append, wanted: Wanted) -> ResumptionPlan:
    """Give the end of an upload again to who has lost the answer; refuse everything else (I26).

    Whether a body without Content-Length is empty, ``room`` is for.
    """
    same = effect.declared_length in {None, info.length}
    if not (wanted.ends and not effect.size and same):
        raise CompletedUploadError("the upload is complete")
    return ResumptionPlan(info.offset, info.length, 0, awaits_end=False, replayed=True)


def _agreed_length(info: UploadInfo, effect: Append) -> int | None:
    """Return the length from now on: every request that tells one tells the same (I07)."""
    told = effect.declared_length
    if info.length is None:
        if told is not None and told < info.offset + (effect.size or 0):
            raise InconsistentLengthError("the length is less than what the upload is to hold")
        return told
    if told is not None and told != info.length:
        raise InconsistentLengthError("the length is not the one that was told before")
    return info.length


def awaits_end_of(effect: Create | Append, wanted: Wanted, length: int | None) -> bool:
    """Return whether the end is still to come while the body of an upload of *length* comes.

    Where its size is told, every byte is the end: a body that is cut leaves less than the length.
    Where it is not, the length may be there and the body go on.
    """
    by_length = wanted.version.length_ends and length is not None
    return effect.size is None or not (wanted.ends or by_length)


def is_end(wanted: Wanted, length: int | None, offset: Offset) -> bool:
    """Whether the upload ends with the body that has come: by what its client says, or *length*."""
    return wanted.ends or (wanted.version.length_ends and offset == length)


def plan_end(wanted: Wanted, length: int | None, offset: Offset) -> int | None:
    """Return the length of an upload whose body has come, *offset* bytes in all; None: still none.

    *length* is what it was while the body came.

    Where ``wanted.ends``, it no longer awaits its end from then on.
    For bodies without Content-Length, too: where a client says that this was the end, offset and
    length are the same (text after -11, #3463). Raises InconsistentLengthError; the bytes are kept.
    """
    if not wanted.ends:
        return length
    if length is not None and length != offset:
        raise InconsistentLengthError("the content ends before the length that was told")
    return offset


def exceeded(
    offset: Offset, length: int | None, rules: ResumableRules
) -> OverrunError | TooLargeError:
    """Return what a body from *offset* on is refused with that brings more than ``room``.

    It is an overrun where that ends where the length does.
    """
    if length is not None and length - offset == _room(offset, length, rules):
        return OverrunError("the body is longer than what is left of the upload")
    return TooLargeError("the body is larger than Upload-Limit allows")


# -- what they share ------------------------------------------------------------------------------


def _length(
    fields: Mapping[str, str], offset: Offset, size: int | None, *, ends: bool
) -> int | None:
    """Return the length of the whole that a request tells; both ways must agree (I06)."""
    told = maybe_count(fields.get("upload-length"))
    if not ends or size is None:
        return told
    length = offset + size
    if told is not None and told != length:
        raise InconsistentLengthError("Upload-Length and Content-Length do not agree")
    return length


def _check_total(length: int | None, rules: ResumableRules) -> None:
    largest = rules.tus.max_size or LARGEST
    if length is not None and length > largest:
        raise TooLargeError(f"the upload is larger than {largest} bytes")


def _check_append_size(size: int | None, rules: ResumableRules, *, ends: bool) -> None:
    if size is None:
        return
    if rules.max_append_size and size > rules.max_append_size:
        raise TooLargeError(f"the content is larger than {rules.max_append_size} bytes")
    if not ends and size < rules.min_append_size:
        raise TooSmallError(f"the content is smaller than {rules.min_append_size} bytes")


def _room(offset: Offset, length: int | None, rules: ResumableRules) -> int:
    """Return how many bytes one request may bring."""
    left = (rules.tus.max_size or LARGEST) - offset if length is None else length - offset
    return max(0, min(left, rules.max_append_size or left))


def _content_digest(fields: Mapping[str, str]) -> Checksum | None:
    """Return one digest of the content: a second one, of the same bytes, would prove no more."""
    told = fields.get("content-digest")
    digests = None if told is None else parse_digests("Content-Digest", told)
    return digests[0] if digests else None
